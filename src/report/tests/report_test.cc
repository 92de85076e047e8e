#include <cstdio>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "report/live_view.h"
#include "report/sparkline.h"
#include "report/table.h"
#include "report/terminal.h"

namespace flexpert::report {
namespace {

/// A FILE* whose content can be read back.
class MemoryFile {
 public:
  MemoryFile() : file_(open_memstream(&data_, &size_)) {}
  ~MemoryFile() {
    std::fclose(file_);
    std::free(data_);
  }
  [[nodiscard]] std::FILE* get() const { return file_; }
  [[nodiscard]] std::string text() const {
    std::fflush(file_);
    return {data_, size_};
  }

 private:
  char* data_ = nullptr;
  std::size_t size_ = 0;
  std::FILE* file_;
};

/// What a terminal would show after `output`: understands what LiveView sends.
std::vector<std::string> screen_after(const std::string& output) {
  std::vector<std::string> lines{""};
  std::size_t row = 0;
  std::size_t column = 0;
  for (std::size_t i = 0; i < output.size(); ++i) {
    if (output[i] == '\n') {
      ++row;
      column = 0;
      if (row == lines.size()) lines.emplace_back();
    } else if (output[i] == '\r') {
      column = 0;
    } else if (output[i] == '\x1b') {
      std::size_t end = i + 2;
      while (output[end] < '@') ++end;
      if (output[end] == 'A') row -= std::stoul(output.substr(i + 2));
      if (output[end] == 'K') lines[row].resize(column);
      if (output[end] == 'J') {
        lines[row].resize(column);
        lines.resize(row + 1);
      }
      i = end;
    } else {
      lines[row].resize(std::max(lines[row].size(), column + 1));
      lines[row][column++] = output[i];
    }
  }
  return lines;
}

TEST(Terminal, WidthCountsCharactersAndNotBytesOrEscapes) {
  EXPECT_EQ(display_width("abc"), 3U);
  EXPECT_EQ(display_width("█é…"), 3U);
  EXPECT_EQ(display_width(styled("abc", Style::kRed, true)), 3U);
  EXPECT_EQ(styled("abc", Style::kRed, false), "abc");
}

TEST(Terminal, CutsAtCharactersAndEndsTheStyle) {
  EXPECT_EQ(cut_to_width("abcdef", 6), "abcdef");
  EXPECT_EQ(cut_to_width("abcdef", 4), "abc…");
  EXPECT_EQ(cut_to_width("█████", 3), "██…");
  EXPECT_EQ(cut_to_width("\x1b[31mabcdef\x1b[0m", 3), "\x1b[31mab…\x1b[0m");
  EXPECT_EQ(cut_to_width("abc", 0), "");
}

TEST(Table, AlignsColumnsAndCutsToTheWidth) {
  Table table({{"name", Align::kLeft}, {"rows/s", Align::kRight}});
  table.add_row({"expert-0", "12"});
  table.add_row({"e", "12345678"});
  EXPECT_EQ(table.text(80, false),
            "name        rows/s\n"
            "expert-0        12\n"
            "e         12345678\n");
  for (const std::string& line : table.lines(10, true)) EXPECT_LE(display_width(line), 10U);
}

TEST(Table, FillsAndDropsCells) {
  Table table({{"a", Align::kLeft}, {"b", Align::kLeft}});
  table.add_row({"1"});
  table.add_row({"1", "2", "3"});
  EXPECT_EQ(table.text(80, false), "a  b\n1  \n1  2\n");
}

TEST(Sparkline, ScalesToItsTopAndKeepsTheNewest) {
  const std::vector<double> values{0, 4, 8};
  EXPECT_EQ(sparkline(values, 10), "▁▅█");
  EXPECT_EQ(sparkline(values, 2), "▅█");
  EXPECT_EQ(sparkline(values, 10, 16), "▁▃▅");
  EXPECT_EQ(sparkline({}, 10), "");
  EXPECT_EQ(bar(0.5, 4), "██░░");
  EXPECT_EQ(bar(-1, 2), "░░");
  EXPECT_EQ(bar(7, 2), "██");
}

TEST(LiveView, FramesReplaceEachOtherOnATerminal) {
  MemoryFile file;
  LiveView view(file.get(), {.interactive = true, .colours = false, .width = 20});
  view.update({"first", "frame", "three lines"}, "plain", TimePoint(Seconds(1)));
  view.update({"second", "f"}, "plain", TimePoint(Seconds(1)));
  view.print("said");
  view.update({"third", "ff"}, "plain", TimePoint(Seconds(1)));
  EXPECT_EQ(screen_after(file.text()), (std::vector<std::string>{"said", "third", "ff", ""}));
}

TEST(LiveView, AFrameIsNeverAsHighAsTheScreen) {
  MemoryFile file;
  LiveView view(file.get(), {.interactive = true, .colours = false, .width = 20, .height = 3});
  view.update({"one", "two", "three", "four"}, "plain", TimePoint(Seconds(1)));
  view.update({"five", "six", "seven"}, "plain", TimePoint(Seconds(1)));
  EXPECT_EQ(screen_after(file.text()), (std::vector<std::string>{"five", "six", ""}));
}

TEST(LiveView, ElsewhereWritesALineEveryTwoSeconds) {
  MemoryFile file;
  LiveView view(file.get(), {.interactive = false, .colours = false, .width = 20});
  for (int tenth = 0; tenth < 45; ++tenth)
    view.update({"frame"}, "line " + std::to_string(tenth), TimePoint(Seconds(100)) + Milliseconds(100) * tenth);
  EXPECT_EQ(file.text(), "line 0\nline 20\nline 40\n");
}

TEST(ProgressBar, LeavesOnlyItsFinalLine) {
  MemoryFile tty;
  ProgressBar bar_on_tty(tty.get(), {.interactive = true, .colours = false, .width = 60}, "packing");
  for (std::size_t i = 0; i <= 10; ++i) bar_on_tty.update(i, 10);
  bar_on_tty.finish("packed");
  EXPECT_EQ(screen_after(tty.text()), (std::vector<std::string>{"packed", ""}));
  MemoryFile plain;
  ProgressBar bar_in_file(plain.get(), {}, "packing");
  bar_in_file.update(5, 10);
  bar_in_file.finish("packed");
  EXPECT_EQ(plain.text(), "packed\n");
}

}  // namespace
}  // namespace flexpert::report
