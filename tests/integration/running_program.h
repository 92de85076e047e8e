#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/child_process.h"
#include "net/event_loop.h"

namespace flexpert::integration {

/// A process of the built binary, driven by the test's own loop. Its output is kept; it is killed when this object goes.
class RunningProgram {
 public:
  RunningProgram(net::EventLoop& loop, std::vector<std::string> arguments, std::vector<std::string> environment = {});
  RunningProgram(const RunningProgram&) = delete;
  RunningProgram& operator=(const RunningProgram&) = delete;

  [[nodiscard]] int pid() const { return child_ ? child_->pid() : 0; }
  void signal(int number) { child_->signal(number); }
  /// Waits for a line of its output that contains `text`; empty if there is none within `deadline`, or it exits first.
  std::string wait_for_line(const std::string& text, Duration deadline);
  /// Waits for its end; nothing if it still runs after `deadline`.
  std::optional<net::ExitStatus> wait_for_exit(Duration deadline);
  /// All lines so far.
  [[nodiscard]] std::string output() const;

 private:
  net::EventLoop& loop_;
  std::vector<std::string> lines_;
  std::optional<net::ExitStatus> exit_;
  std::unique_ptr<net::ChildProcess> child_;
};

/// Runs the loop until `condition` holds; false if it does not within `deadline`.
bool run_until(net::EventLoop& loop, Duration deadline, const std::function<bool()>& condition);

/// How one run of the binary ended.
struct Finished {
  int exit_code = -1;
  std::string output;
};
/// Runs the binary to its end. A run that takes longer than a minute is killed and gets exit code -1.
Finished run_program(const std::vector<std::string>& arguments, const std::vector<std::string>& environment = {});

/// Tells whether a process exists and is not a zombie.
bool is_running(int pid);

}  // namespace flexpert::integration
