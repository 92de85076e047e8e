#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

namespace flexpert::gateway {

/// The last bytes of an event stream: enough to tell whether an event is open, and whether it ended as OpenAI's do.
class StreamTail {
 public:
  void feed(std::string_view bytes) {
    const std::size_t taken = std::min(bytes.size(), kSize);
    const std::size_t kept = std::min(size_, kSize - taken);
    std::memmove(tail_.data(), tail_.data() + (size_ - kept), kept);
    std::memcpy(tail_.data() + kept, bytes.data() + (bytes.size() - taken), taken);
    size_ = kept + taken;
  }

  /// No event is begun: a comment may be put in here.
  [[nodiscard]] bool between_events() const {
    const std::string_view tail = text();
    return tail.empty() || tail.ends_with("\n\n") || tail.ends_with("\r\n\r\n") || tail.ends_with("\r\r");
  }
  /// The last event was "[DONE]".
  [[nodiscard]] bool done() const {
    std::string_view tail = text();
    while (!tail.empty() && (tail.back() == '\n' || tail.back() == '\r')) tail.remove_suffix(1);
    return tail.ends_with("data: [DONE]") || tail.ends_with("data:[DONE]");
  }

 private:
  static constexpr std::size_t kSize = 24;
  [[nodiscard]] std::string_view text() const { return {tail_.data(), size_}; }
  std::array<char, kSize> tail_{};
  std::size_t size_ = 0;
};

}  // namespace flexpert::gateway
