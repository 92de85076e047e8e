#pragma once

#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "report/terminal.h"

namespace flexpert::report {

/// Shows a state that changes. On a terminal each frame replaces the one before it; elsewhere frames are dropped and a
/// plain line is written at most every `line_interval`. What print() writes stays above the frame.
class LiveView {
 public:
  LiveView(std::FILE* out, Terminal terminal, Duration line_interval = Seconds(2))
      : out_(out), terminal_(terminal), line_interval_(line_interval) {}
  ~LiveView() { end(); }
  LiveView(const LiveView&) = delete;
  LiveView& operator=(const LiveView&) = delete;

  [[nodiscard]] const Terminal& terminal() const { return terminal_; }
  /// Tells of a resize.
  void set_size(std::size_t width, std::size_t height) {
    terminal_.width = width;
    terminal_.height = height;
  }
  /// Shows `frame` (lines without newlines, cut to the width, and as many as the height allows), or writes `plain_line`, whichever fits the output.
  void update(const std::vector<std::string>& frame, std::string_view plain_line, TimePoint now);
  /// Writes a line for good.
  void print(std::string_view line);
  /// Leaves the last frame on the screen; later output goes below it.
  void end();

 private:
  void erase_frame(std::string& output);

  std::FILE* out_;
  Terminal terminal_;
  Duration line_interval_;
  std::vector<std::string> frame_;  // on the screen now
  TimePoint last_line_{};
};

/// Shows how far something of a known size has come: a bar on a terminal, elsewhere nothing but the final line.
class ProgressBar {
 public:
  ProgressBar(std::FILE* out, Terminal terminal, std::string title) : out_(out), terminal_(terminal), title_(std::move(title)) {}
  void update(std::size_t done, std::size_t total);
  /// Replaces the bar by a line for good.
  void finish(std::string_view line);

 private:
  std::FILE* out_;
  Terminal terminal_;
  std::string title_;
  int shown_percent_ = -1;
};

}  // namespace flexpert::report
