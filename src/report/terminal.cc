#include "report/terminal.h"

#include <cstdlib>

#include <sys/ioctl.h>
#include <unistd.h>

namespace flexpert::report {

namespace {

/// Returns the length of the escape sequence at the start of `text`, or 0.
std::size_t escape_length(std::string_view text) {
  if (text.size() < 2 || text[0] != '\x1b' || text[1] != '[') return 0;
  std::size_t length = 2;
  while (length < text.size() && (text[length] < '@' || text[length] > '~')) ++length;
  return length < text.size() ? length + 1 : length;
}

bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

}  // namespace

Terminal Terminal::of(int fd) {
  Terminal terminal;
  const char* term = std::getenv("TERM");
  terminal.interactive = isatty(fd) != 0 && term != nullptr && std::string_view(term) != "dumb";
  const char* no_color = std::getenv("NO_COLOR");
  terminal.colours = terminal.interactive && (no_color == nullptr || *no_color == '\0');
  winsize size{};
  if (terminal.interactive && ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    terminal.width = size.ws_col;
    terminal.height = size.ws_row;
  }
  return terminal;
}

std::string styled(std::string_view text, Style style, bool colours) {
  const char* code = nullptr;
  switch (style) {
    case Style::kPlain: break;
    case Style::kBold: code = "1"; break;
    case Style::kDim: code = "2"; break;
    case Style::kRed: code = "31"; break;
    case Style::kGreen: code = "32"; break;
    case Style::kYellow: code = "33"; break;
    case Style::kCyan: code = "36"; break;
  }
  if (!colours || code == nullptr) return std::string(text);
  std::string result = "\x1b[";
  result += code;
  result += 'm';
  result += text;
  result += "\x1b[0m";
  return result;
}

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  for (std::size_t i = 0; i < text.size();) {
    if (const std::size_t escape = escape_length(text.substr(i)); escape > 0) {
      i += escape;
      continue;
    }
    if (!continues_character(text[i])) ++width;
    ++i;
  }
  return width;
}

std::string cut_to_width(std::string_view text, std::size_t width) {
  if (display_width(text) <= width) return std::string(text);
  if (width == 0) return {};
  std::string result;
  std::size_t used = 0;
  bool style_is_on = false;
  for (std::size_t i = 0; i < text.size();) {
    if (const std::size_t escape = escape_length(text.substr(i)); escape > 0) {
      const std::string_view sequence = text.substr(i, escape);
      style_is_on = sequence != "\x1b[0m";
      result += sequence;
      i += escape;
      continue;
    }
    if (!continues_character(text[i]) && ++used == width) break;
    result += text[i++];
  }
  result += "…";
  if (style_is_on) result += "\x1b[0m";
  return result;
}

}  // namespace flexpert::report
