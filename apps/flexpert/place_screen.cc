#include "flexpert/place_screen.h"

#include <cstdio>

#include <poll.h>
#include <unistd.h>

#include "flexpert/exit_codes.h"
#include "report/terminal.h"

namespace flexpert::app {

void write_out(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

int end_of_output(int code) {
  std::fflush(stdout);
  if (std::ferror(stdout) == 0 || code != kExitOk) return code;
  pollfd out{.fd = STDOUT_FILENO, .events = POLLOUT, .revents = 0};
  const bool reader_gone = poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0;
  return reader_gone ? code : fail_with("place", "stdout cannot be written: is the disk full?");
}

void print_table(const report::Table& table) {
  const report::Terminal terminal = report::Terminal::of(STDOUT_FILENO);
  say("{}", table.text(terminal.interactive ? terminal.width : 1000, terminal.colours));
}

void print_title(const std::string& title) {
  say("\n{}\n", report::styled(title, report::Style::kBold, report::Terminal::of(STDOUT_FILENO).colours));
}

void print_reasons(const std::vector<Reason>& reasons) {
  for (const Reason& reason : reasons) say("{}\n", reason.text);
}

}  // namespace flexpert::app
