#include "net/signals.h"

#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/check.h"

namespace flexpert::net {

SignalWatcher::SignalWatcher(EventLoop& loop, const std::vector<int>& signals, std::function<void(int)> on_signal)
    : loop_(loop), on_signal_(std::move(on_signal)) {
  sigset_t wanted;
  sigset_t before;
  ::sigemptyset(&wanted);
  for (const int signal : signals) ::sigaddset(&wanted, signal);
  FLEXPERT_CHECK(::pthread_sigmask(SIG_BLOCK, &wanted, &before) == 0, "cannot block signals");
  ::sigemptyset(&newly_blocked_);
  for (const int signal : signals)
    if (::sigismember(&before, signal) == 0) ::sigaddset(&newly_blocked_, signal);
  fd_.reset(::signalfd(-1, &wanted, SFD_NONBLOCK | SFD_CLOEXEC));
  FLEXPERT_CHECK(static_cast<bool>(fd_), "cannot make a signalfd: out of file descriptors");
  loop_.watch(fd_.get(), EPOLLIN, this);
}

SignalWatcher::~SignalWatcher() {
  loop_.unwatch(fd_.get());
  ::pthread_sigmask(SIG_UNBLOCK, &newly_blocked_, nullptr);
}

void SignalWatcher::on_events(std::uint32_t) {
  signalfd_siginfo info{};
  if (::read(fd_.get(), &info, sizeof info) != static_cast<ssize_t>(sizeof info)) return;
  const auto callback = on_signal_;  // a copy: the callback may destroy this watcher; further signals come with the next turn
  callback(static_cast<int>(info.ssi_signo));
}

void ignore_sigpipe() { ::signal(SIGPIPE, SIG_IGN); }

}  // namespace flexpert::net
