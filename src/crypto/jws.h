#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

/// JSON Web Signatures (RFC 7515) in their compact form.
namespace flexpert::crypto {

/// The signatures that we verify. There is no "none"; EdDSA is missing because cjose has no OKP keys.
enum class JwsAlgorithm : std::uint8_t { kHs256, kHs384, kHs512, kRs256, kRs384, kRs512, kPs256, kPs384, kPs512, kEs256, kEs384, kEs512 };

/// Returns the algorithm of a name as RFC 7518, 3.1 spells it ("RS256"); nothing for any other text.
std::optional<JwsAlgorithm> jws_algorithm(std::string_view name);
std::string_view name_of(JwsAlgorithm algorithm);

/// A set of algorithms.
class JwsAlgorithms {
 public:
  void add(JwsAlgorithm algorithm) { bits_ = static_cast<std::uint16_t>(bits_ | bit(algorithm)); }
  [[nodiscard]] bool contains(JwsAlgorithm algorithm) const { return (bits_ & bit(algorithm)) != 0; }
  [[nodiscard]] bool empty() const { return bits_ == 0; }
  [[nodiscard]] JwsAlgorithms operator&(JwsAlgorithms other) const {
    JwsAlgorithms both;
    both.bits_ = bits_ & other.bits_;
    return both;
  }

 private:
  static std::uint16_t bit(JwsAlgorithm algorithm) { return static_cast<std::uint16_t>(1U << static_cast<unsigned>(algorithm)); }
  std::uint16_t bits_ = 0;
};

inline constexpr std::size_t kLongestJws = 16 * 1024;

/// A token that was taken apart and not yet verified: nothing of it may be believed but to choose the key.
struct UnverifiedJws {
  std::string_view compact;  ///< the text that was read
  JwsAlgorithm algorithm = JwsAlgorithm::kRs256;
  std::optional<std::string> kid;
  std::string typ;           ///< in lower case, without "application/"; empty if absent
  std::string payload;
  std::string signature;
};

/// Takes a compact token apart, strictly: three parts of base64url without padding, a header that is one JSON object without
/// members given twice, an algorithm that we verify, no `crit` and no `b64`, at most kLongestJws bytes. What a header says of
/// keys (`jwk`, `jku`, `x5c`, `x5u`, `x5t`) counts for nothing. `compact` must outlive what is returned. Errors:
/// kInvalidArgument, whose message names the part at fault and quotes nothing of the token.
Result<UnverifiedJws> read_jws(std::string_view compact);

}  // namespace flexpert::crypto
