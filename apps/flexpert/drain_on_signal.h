#pragma once

#include <csignal>

#include <functional>
#include <vector>

#include "base/log.h"
#include "net/event_loop.h"
#include "net/signals.h"

namespace flexpert::app {

/// Ends a server's process in order: the first SIGTERM or SIGINT runs `drain`, which is to stop the loop when it is done;
/// the second stops the loop at once. SIGHUP runs `reload`; a server that has nothing to reload ends by it, as any process does.
/// Make it before any thread starts; belongs to the loop's thread.
class DrainOnSignal {
 public:
  DrainOnSignal(net::EventLoop& loop, std::function<void()> drain, std::function<void()> reload = nullptr)
      : loop_(loop),
        drain_(std::move(drain)),
        reload_(std::move(reload)),
        watcher_(loop, signals(reload_ != nullptr), [this](int signal) { on_signal(signal); }) {}

 private:
  static std::vector<int> signals(bool with_reload) {
    std::vector<int> watched{SIGTERM, SIGINT};
    if (with_reload) watched.push_back(SIGHUP);
    return watched;
  }

  void on_signal(int signal) {
    if (signal == SIGHUP) return reload_();
    if (draining_) return loop_.stop();
    draining_ = true;
    log::info("finishing what is in flight; a second signal stops at once");
    drain_();
  }

  net::EventLoop& loop_;
  std::function<void()> drain_;
  std::function<void()> reload_;
  bool draining_ = false;
  net::SignalWatcher watcher_;
};

}  // namespace flexpert::app
