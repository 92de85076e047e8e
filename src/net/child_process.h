#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/event_loop.h"

namespace flexpert::net {

struct ChildProcessOptions {
  std::vector<std::string> argv{};               ///< argv[0] is the program: a path, or a name that is sought in PATH
  std::vector<std::string> extra_environment{};  ///< "NAME=value"
  /// Hears each line of its stdout or stderr, without the newline, cut at 64 KiB. May destroy the ChildProcess.
  /// Unset: the child writes to our own stdout and stderr.
  std::function<void(std::string_view)> on_line{};
  /// Instead of on_line: the child appends its stdout and stderr to this file. For a child that may outlive us, whom a pipe
  /// to us would kill.
  std::string output_file{};
  /// The child lives on when we die without destroying its ChildProcess. It gets a session of its own.
  bool may_outlive_us = false;
  /// A descriptor of ours that the child gets as its number 3, such as a listening socket; -1: none.
  int shared_fd = -1;
  /// Runs when the child has a pid and waits to execute its program: what is written down here is written before the
  /// program runs. If it fails, or we die in it, the program never runs.
  std::move_only_function<Result<void>(int pid)> before_exec{};
};

/// How a process ended: an exit code, or the signal that killed it.
struct ExitStatus {
  int code = 0;
  int signal = 0;
  [[nodiscard]] std::string to_string() const;
};

/// A child that dies with its parent (PR_SET_PDEATHSIG, SIGKILL included), in a process group of its own so that a
/// terminal's Ctrl-C reaches only the parent. Belongs to the loop's thread, which must outlive the child.
/// Destroying it kills the child (its whole process group) and reaps it.
/// The kernel ties PR_SET_PDEATHSIG to the THREAD that spawned: when that thread ends the child is killed, even if the
/// process lives on. So spawn from the main thread, or from one that lives as long as the children should.
/// The child starts with no signal blocked or ignored, stdin from /dev/null, and no other descriptor of ours but
/// `shared_fd`.
class ChildProcess {
 public:
  /// Runs the program; returns once exec() has succeeded. `on_exit` runs once, after the last line, and may destroy the
  /// ChildProcess. Errors: kNotFound (no such program), kFailedPrecondition (cannot be run), kResourceExhausted.
  static Result<std::unique_ptr<ChildProcess>> spawn(EventLoop& loop, ChildProcessOptions options,
                                                     std::move_only_function<void(ExitStatus)> on_exit);
  virtual ~ChildProcess() = default;
  [[nodiscard]] virtual int pid() const = 0;
  /// Sends `signal`; a process that has already gone is ignored.
  virtual void signal(int signal) = 0;
};

}  // namespace flexpert::net
