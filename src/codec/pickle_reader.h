#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

/// Python pickles of protocol 2 to 5, read without executing anything: a callable is only a name, and only the names that
/// the caller allows may occur.
namespace flexpert::codec {

enum class PickleKind : std::uint32_t { kNone, kBool, kInt, kFloat, kString, kTuple, kList, kDict, kGlobal, kCall, kPersistent };

/// Returns "None", "a bool", "an int", ... for messages.
const char* name_of(PickleKind kind);

/// A value of a pickle; the contents of strings and containers are in the Pickle, and may be shared.
struct PickleValue {
  PickleKind kind = PickleKind::kNone;
  std::uint32_t index = 0;   ///< of a text (string, global) or a group (everything that contains values)
  std::int64_t integer = 0;  ///< kBool, kInt

  [[nodiscard]] double real() const { return std::bit_cast<double>(integer); }  ///< kFloat
};

struct PickleLimits {
  std::size_t bytes = std::size_t{64} << 20;
  std::size_t values = std::size_t{16} << 20;  ///< on the stack, in the memo, and in containers, each
  std::size_t objects = std::size_t{4} << 20;  ///< strings and containers, each
  std::size_t marks = 256;                     ///< containers that are being filled at once
};

/// What a pickle holds. Containers refer to each other and may form cycles: follow named fields, do not walk it all.
struct Pickle {
  PickleValue root;
  std::vector<std::string> texts;  ///< UTF-8 as it stands in the file; a global is "module.name"
  /// Tuple and list: items. Dict: key, value, key, value. Call: the global, the tuple of arguments. Persistent: the id.
  std::vector<std::vector<PickleValue>> groups;

  [[nodiscard]] std::string_view text(PickleValue value) const { return texts[value.index]; }
  [[nodiscard]] std::span<const PickleValue> items(PickleValue value) const { return groups[value.index]; }
  /// Returns the value of a string key of a dict; the last one counts, as in Python.
  [[nodiscard]] std::optional<PickleValue> field(PickleValue dict, std::string_view key) const;
};

/// Runs the pickle's opcodes. `globals` are the names that may occur, as "module.name"; `collections.OrderedDict` among
/// them becomes a dict when called without arguments. Errors name the opcode or global that is not allowed and its byte.
Result<Pickle> read_pickle(std::string_view bytes, std::span<const std::string_view> globals, const PickleLimits& limits = {});

}  // namespace flexpert::codec
