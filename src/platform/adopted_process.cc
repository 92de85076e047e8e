#include "platform/adopted_process.h"

#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>
#include <vector>

#include "net/unique_fd.h"

namespace flexpert::platform {
namespace {

std::string text_of_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class AdoptedProcess final : public net::ChildProcess, private net::FdHandler {
 public:
  AdoptedProcess(net::EventLoop& loop, int pid, net::UniqueFd pidfd, std::move_only_function<void(net::ExitStatus)> on_exit)
      : loop_(loop), pid_(pid), pidfd_(std::move(pidfd)), on_exit_(std::move(on_exit)) {
    loop_.watch(pidfd_.get(), EPOLLIN, this);
  }
  ~AdoptedProcess() override {
    if (!pidfd_) return;
    loop_.unwatch(pidfd_.get());
    signal(SIGKILL);
  }
  AdoptedProcess(const AdoptedProcess&) = delete;
  AdoptedProcess& operator=(const AdoptedProcess&) = delete;

  [[nodiscard]] int pid() const override { return pid_; }
  void signal(int signal) override {
    if (pidfd_) ::syscall(SYS_pidfd_send_signal, pidfd_.get(), signal, nullptr, 0);
  }

 private:
  void on_events(std::uint32_t) override {
    loop_.unwatch(pidfd_.get());
    pidfd_.reset();
    auto callback = std::move(on_exit_);
    callback({.code = -1, .signal = 0});  // may destroy this
  }

  net::EventLoop& loop_;
  int pid_;
  net::UniqueFd pidfd_;
  std::move_only_function<void(net::ExitStatus)> on_exit_;
};

}  // namespace

Result<ProcessIdentity> identity_of(int pid) {
  ProcessIdentity identity{.pid = pid, .start_ticks = 0, .boot_id = text_of_file("/proc/sys/kernel/random/boot_id")};
  while (!identity.boot_id.empty() && identity.boot_id.back() == '\n') identity.boot_id.pop_back();
  const std::string stat = text_of_file(fmt::format("/proc/{}/stat", pid));
  // The program's name, in parentheses, may hold anything: fields are counted from the last one.
  const std::size_t name_end = stat.rfind(')');
  std::vector<std::string_view> fields;
  for (std::size_t at = name_end == std::string::npos ? stat.size() : name_end + 2; at < stat.size();) {
    const std::size_t end = std::min(stat.find(' ', at), stat.size());
    fields.push_back(std::string_view(stat).substr(at, end - at));
    at = end + 1;
  }
  constexpr std::size_t kState = 0;
  constexpr std::size_t kStartTime = 19;  // field 22 of all, the third is the first here
  if (fields.size() <= kStartTime || fields[kState] == "Z" || fields[kState] == "X") return fail(ErrorCode::kNotFound, "there is no process {}", pid);
  const std::string_view ticks = fields[kStartTime];
  if (std::from_chars(ticks.data(), ticks.data() + ticks.size(), identity.start_ticks).ec != std::errc{})
    return fail(ErrorCode::kInternal, "/proc/{}/stat: start time is not a number: {}", pid, ticks);
  return identity;
}

Result<std::unique_ptr<net::ChildProcess>> adopt_process(net::EventLoop& loop, const ProcessIdentity& identity,
                                                         std::move_only_function<void(net::ExitStatus)> on_exit) {
  // First the descriptor, then the look at who it is: from then on the pid cannot become another process behind our back.
  net::UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, identity.pid, 0)));
  if (!pidfd) return fail(ErrorCode::kNotFound, "process {} is gone: {}", identity.pid, std::strerror(errno));
  FLEXPERT_ASSIGN(const ProcessIdentity now, identity_of(identity.pid));
  if (now != identity) return fail(ErrorCode::kNotFound, "process {} is another one by now", identity.pid);
  return std::unique_ptr<net::ChildProcess>(new AdoptedProcess(loop, identity.pid, std::move(pidfd), std::move(on_exit)));
}

}  // namespace flexpert::platform
