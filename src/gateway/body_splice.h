#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "gateway/request_scan.h"

namespace flexpert::gateway {

/// A request's body with some of its scalars replaced, as parts that are sent one behind the other: nothing but the new text is
/// copied. Views of the body and of this object; it stays where it is while they are used.
class BodySplice {
 public:
  static constexpr std::size_t kMaxEdits = 4;

  BodySplice() = default;
  BodySplice(const BodySplice&) = delete;
  BodySplice& operator=(const BodySplice&) = delete;

  /// Forgets earlier edits.
  void reset(std::string_view body);
  /// Lets the answer have at most `cap` tokens: replaces both fields' values where they allow more, or puts one in.
  void cap_max_tokens(const ScannedRequest& scanned, std::uint64_t cap);
  /// Asks for another model.
  void replace_model(const ScannedRequest& scanned, std::string_view model);

  [[nodiscard]] bool edited() const { return edits_ > 0; }
  [[nodiscard]] std::span<const std::string_view> parts();
  [[nodiscard]] std::size_t size() const;

 private:
  struct Edit {
    JsonRange at;
    std::string text;  ///< its memory is kept
  };
  std::string& add(JsonRange at);

  std::string_view body_;
  std::array<Edit, kMaxEdits> edit_{};
  std::size_t edits_ = 0;
  std::array<std::string_view, 2 * kMaxEdits + 1> parts_{};
};

}  // namespace flexpert::gateway
