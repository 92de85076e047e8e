#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace flexpert::engine {

/// Watches a stream of text for stop strings, also across the borders of its pieces: what may become one is held back.
class StopText {
 public:
  struct News {
    std::string show;
    bool stopped = false;
  };

  /// `stops` are not empty strings.
  explicit StopText(std::vector<std::string> stops) : stops_(std::move(stops)) {}

  /// Adds text. Returns what may be shown now; when a stop string is complete, that is all before it.
  News push(std::string_view text);
  /// Ends the stream: returns what was held back.
  std::string flush();

 private:
  std::vector<std::string> stops_;
  std::string held_;
};

}  // namespace flexpert::engine
