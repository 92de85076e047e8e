#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/event_loop.h"

namespace flexpert::net {

struct ChildProcessOptions {
  std::vector<std::string> argv;                 ///< argv[0] is the program's path
  std::vector<std::string> extra_environment;    ///< "NAME=value"
  std::function<void(std::string_view)> on_line; ///< a line of its stdout or stderr, without the newline; 64 KiB at most
};

/// How a process ended: an exit code, or the signal that killed it.
struct ExitStatus {
  int code = 0;
  int signal = 0;
  [[nodiscard]] std::string to_string() const;
};

/// A child that dies with its parent (PR_SET_PDEATHSIG, SIGKILL included), in a process group of its own so that a
/// terminal's Ctrl-C reaches only the parent. Belongs to the loop's thread, which must outlive the child.
/// Destroying it kills the child and reaps it.
class ChildProcess {
 public:
  static Result<std::unique_ptr<ChildProcess>> spawn(EventLoop& loop, ChildProcessOptions options,
                                                     std::move_only_function<void(ExitStatus)> on_exit);
  virtual ~ChildProcess() = default;
  [[nodiscard]] virtual int pid() const = 0;
  /// Sends `signal`; a process that has already gone is ignored.
  virtual void signal(int signal) = 0;
};

}  // namespace flexpert::net
