#include "report/live_view.h"

#include <fmt/format.h>

#include "report/sparkline.h"

namespace flexpert::report {

namespace {

void write_out(std::FILE* out, const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), out);
  std::fflush(out);
}

}  // namespace

void LiveView::erase_frame(std::string& output) {
  if (frame_.empty()) return;
  output += fmt::format("\x1b[{}A\r\x1b[J", frame_.size());
  frame_.clear();
}

void LiveView::update(const std::vector<std::string>& frame, std::string_view plain_line, TimePoint now) {
  if (!terminal_.interactive) {
    if (last_line_ != TimePoint{} && now - last_line_ < line_interval_) return;
    last_line_ = now;
    write_out(out_, std::string(plain_line) + '\n');
    return;
  }
  // Lines are overwritten and their rest erased, instead of the whole frame first: a frame erased at once would flicker.
  std::string output;
  if (!frame_.empty()) output += fmt::format("\x1b[{}A\r", frame_.size());
  std::vector<std::string> shown;
  for (const std::string& line : frame) {
    // A frame as high as the screen would scroll, and could not be gone back over.
    if (terminal_.height > 0 && shown.size() + 1 >= terminal_.height) break;
    shown.push_back(cut_to_width(line, terminal_.width > 1 ? terminal_.width - 1 : 1));
    output += shown.back() + "\x1b[K\n";
  }
  output += "\x1b[J";
  write_out(out_, output);
  frame_ = std::move(shown);
}

void LiveView::print(std::string_view line) {
  std::string output;
  const std::vector<std::string> frame = frame_;
  erase_frame(output);
  output += line;
  output += '\n';
  for (const std::string& shown : frame) output += shown + '\n';
  frame_ = frame;
  write_out(out_, output);
}

void LiveView::end() { frame_.clear(); }

void ProgressBar::update(std::size_t done, std::size_t total) {
  const int percent = total == 0 ? 100 : static_cast<int>(done * 100 / total);
  if (percent == shown_percent_) return;
  shown_percent_ = percent;
  if (!terminal_.interactive) return;
  const double fraction = static_cast<double>(percent) / 100;
  write_out(out_, '\r' + cut_to_width(fmt::format("{} {} {:3d} %", title_, bar(fraction, 30), percent), terminal_.width - 1) + "\x1b[K");
}

void ProgressBar::finish(std::string_view line) {
  std::string output;
  if (terminal_.interactive) output += "\r\x1b[K";
  output += line;
  output += '\n';
  write_out(out_, output);
}

}  // namespace flexpert::report
