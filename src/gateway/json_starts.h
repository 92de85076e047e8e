#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace flexpert::gateway {

/// Where the tokens of JSON text begin: each of {}[]:, each string's opening quote, and each run of other characters. Strings are
/// checked on the way: they end, have no control characters and only good escapes, and the whole is UTF-8. Whether the tokens make
/// JSON is for whoever walks over them. Keeps its memory between calls; one thread. Long strings cost about 7 instructions for
/// each 32 bytes (AVX2).
class JsonStarts {
 public:
  enum class Problem { kNone, kNotUtf8, kControlCharacter, kUnfinishedString, kBadEscape };

  /// `plainly`: byte by byte, as on machines without AVX2; for tests.
  Problem find(std::string_view text, bool plainly = false);
  [[nodiscard]] const std::uint32_t* data() const { return starts_.data(); }
  [[nodiscard]] std::size_t count() const { return count_; }

 private:
  void add(const char* begin, const char* at) {
    if (count_ == starts_.size()) starts_.resize(starts_.size() * 2);
    starts_[count_++] = static_cast<std::uint32_t>(at - begin);
  }

  std::vector<std::uint32_t> starts_ = std::vector<std::uint32_t>(1024);
  std::size_t count_ = 0;
};

}  // namespace flexpert::gateway
