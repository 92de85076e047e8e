#pragma once

#include <csignal>

#include <functional>
#include <vector>

#include "net/event_loop.h"
#include "net/unique_fd.h"

namespace flexpert::net {

/// Delivers signals as events of a loop. Make it before any other thread starts: it blocks the signals in the thread
/// that makes it, and threads inherit their maker's mask. Child processes get an empty mask from ChildProcess.
/// Belongs to the loop's thread; destroying it unblocks what it blocked.
class SignalWatcher final : private FdHandler {
 public:
  SignalWatcher(EventLoop& loop, const std::vector<int>& signals, std::function<void(int signal)> on_signal);
  ~SignalWatcher() override;
  SignalWatcher(const SignalWatcher&) = delete;
  SignalWatcher& operator=(const SignalWatcher&) = delete;

 private:
  void on_events(std::uint32_t events) override;

  EventLoop& loop_;
  std::function<void(int)> on_signal_;
  UniqueFd fd_;
  sigset_t newly_blocked_{};
};

/// Makes writes to a closed peer fail with EPIPE instead of killing the process. Call once at the start of main().
void ignore_sigpipe();

}  // namespace flexpert::net
