#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "crypto/jws.h"

namespace flexpert::crypto {

struct JwkOptions {
  bool symmetric = false;  ///< takes `oct` keys (HS*): only for sets that nobody else can read
};

/// The keys of a JSON Web Key Set (RFC 7517) that can verify signatures. Immutable; copies share the keys; safe from any thread.
class JwkSet {
 public:
  /// Reads a set, or one key alone. A key that we cannot use is left out and ignored() says why: not for signatures (`use`,
  /// `key_ops`, `alg`), of a kind that is not known (OKP), weak (RSA under 2048 bits, an even or too small exponent, made by
  /// the generator of CVE-2017-15361; an HMAC key shorter than its digest), a point that is not on its curve, a private key.
  /// Errors: kInvalidArgument for a text that is no set, members given twice, a kid given twice, symmetric and asymmetric keys
  /// in one set, no usable key left, over 1 MiB or 256 keys.
  static Result<JwkSet> parse(std::string_view json, JwkOptions options = {});

  /// Returns the payload of a token whose signature one of the keys made with an algorithm that `allowed`, the key's kind and
  /// the key's own `alg` all agree with. A token with a kid goes to the key of that name; one without to the only key that
  /// takes its algorithm. Errors: kNotFound: there is no such key (a newer set may have it); kUnauthenticated: not signed by it.
  [[nodiscard]] Result<std::string> verify(const UnverifiedJws& jws, JwsAlgorithms allowed) const;

  [[nodiscard]] std::size_t size() const { return keys_.size(); }
  /// One line for each key that was left out.
  [[nodiscard]] const std::vector<std::string>& ignored() const { return ignored_; }

 private:
  struct Key;
  std::vector<std::shared_ptr<const Key>> keys_;
  std::vector<std::string> ignored_;
};

}  // namespace flexpert::crypto
