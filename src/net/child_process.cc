#include "net/child_process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "net/unique_fd.h"

namespace flexpert::net {
namespace {

constexpr std::size_t kLongestLine = 64 * 1024;
constexpr int kSharedFd = 3;

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

Result<Pipe> new_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail(ErrorCode::kResourceExhausted, "cannot make a pipe: {}", std::strerror(errno));
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

/// What the child needs after fork(), prepared before it: no allocation is allowed there.
struct ChildPlan {
  const char* program;
  char* const* argv;
  char* const* environment;
  int output;       ///< becomes stdout, or -1: inherited
  int error_output; ///< becomes stderr, or -1
  int report;       ///< takes errno if the program cannot be run
  int go;           ///< gives a byte when the program may run, or -1
  int shared;       ///< becomes number kSharedFd, or -1
  bool may_outlive_us;
  pid_t parent;
};

[[noreturn]] void run_child(ChildPlan plan) {
  if (plan.shared >= 0) {
    // Out of the way of the number that it is to have.
    plan.report = ::fcntl(plan.report, F_DUPFD_CLOEXEC, kSharedFd + 1);
    plan.shared = ::fcntl(plan.shared, F_DUPFD_CLOEXEC, kSharedFd + 1);
    if (plan.go >= 0) plan.go = ::fcntl(plan.go, F_DUPFD_CLOEXEC, kSharedFd + 1);
    if (plan.output >= 0) plan.output = ::fcntl(plan.output, F_DUPFD_CLOEXEC, kSharedFd + 1);
    if (plan.error_output >= 0) plan.error_output = ::fcntl(plan.error_output, F_DUPFD_CLOEXEC, kSharedFd + 1);
  }
  const auto give_up = [&plan] {
    const int error = errno;
    [[maybe_unused]] const auto ignored = ::write(plan.report, &error, sizeof error);
    ::_exit(127);
  };
  if (plan.may_outlive_us) {
    ::setsid();
  } else {
    ::setpgid(0, 0);
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) give_up();
    if (::getppid() != plan.parent) ::_exit(127);  // the parent died before the line above took effect
  }
  if (plan.go >= 0) {
    char byte = 0;
    ssize_t count = 0;
    while ((count = ::read(plan.go, &byte, 1)) < 0 && errno == EINTR) {
    }
    if (count != 1) ::_exit(127);  // the parent died, or does not want us any more
  }
  for (int signal = 1; signal < NSIG; ++signal) {
    struct sigaction current {};
    if (::sigaction(signal, nullptr, &current) == 0 && current.sa_handler == SIG_IGN) ::signal(signal, SIG_DFL);
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null < 0 || ::dup2(null, STDIN_FILENO) < 0) give_up();
  if (plan.output >= 0 && ::dup2(plan.output, STDOUT_FILENO) < 0) give_up();
  if (plan.error_output >= 0 && ::dup2(plan.error_output, STDERR_FILENO) < 0) give_up();
  ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);  // ours are close-on-exec already; this is for what libraries opened
  if (plan.shared >= 0 && ::dup2(plan.shared, kSharedFd) < 0) give_up();
  ::execve(plan.program, plan.argv, plan.environment);
  give_up();
  ::_exit(127);
}

std::vector<char*> pointers_to(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& string : strings) pointers.push_back(const_cast<char*>(string.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

/// Returns our environment with `extra` replacing what it names.
std::vector<std::string> environment_with(const std::vector<std::string>& extra) {
  std::vector<std::string> all;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view existing = *variable;
    const std::string_view name = existing.substr(0, existing.find('=') + 1);
    bool replaced = false;
    for (const std::string& setting : extra) replaced = replaced || (!name.empty() && setting.starts_with(name));
    if (!replaced) all.emplace_back(existing);
  }
  all.insert(all.end(), extra.begin(), extra.end());
  return all;
}

/// Finds a program named without '/' in PATH, as a shell does; what is not found there is given back as it is.
std::string program_of(const std::string& name) {
  const char* const path = std::getenv("PATH");
  if (name.empty() || name.find('/') != std::string::npos || path == nullptr) return name;
  for (std::string_view left = path; !left.empty();) {
    const std::size_t end = std::min(left.find(':'), left.size());
    const std::string candidate = fmt::format("{}/{}", left.substr(0, end), name);
    struct stat status{};
    if (end > 0 && ::access(candidate.c_str(), X_OK) == 0 && ::stat(candidate.c_str(), &status) == 0 && S_ISREG(status.st_mode)) return candidate;
    left.remove_prefix(std::min(end + 1, left.size()));
  }
  return name;
}

class LoopChild final : public ChildProcess, private FdHandler {
 public:
  LoopChild(EventLoop& loop, ChildProcessOptions options, std::move_only_function<void(ExitStatus)> on_exit)
      : loop_(loop), options_(std::move(options)), on_line_(std::make_shared<std::function<void(std::string_view)>>(options_.on_line)),
        on_exit_(std::move(on_exit)) {}

  ~LoopChild() override {
    if (destroyed_ != nullptr) *destroyed_ = true;
    if (pidfd_) loop_.unwatch(pidfd_.get());
    if (pid_ > 0 && !reaped_) {
      ::kill(-pid_, SIGKILL);
      ::kill(pid_, SIGKILL);
      while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
      }
    }
  }

  Result<void> start();
  [[nodiscard]] int pid() const override { return pid_; }
  void signal(int signal) override {
    if (!reaped_) ::kill(pid_, signal);
  }

 private:
  /// One output stream of the child, cut into lines.
  class Output final : public FdHandler {
   public:
    Output(LoopChild& child, UniqueFd fd) : child_(child), fd_(std::move(fd)) {
      ::fcntl(fd_.get(), F_SETFL, O_NONBLOCK);
      child_.loop_.watch(fd_.get(), EPOLLIN, this);
    }
    ~Output() override { end(); }
    void on_events(std::uint32_t) override { child_.guarded([this](const bool& destroyed) { read_once(destroyed); }); }
    /// Delivers what the pipe held when the child ended, the unfinished line included. Bounded, because a grandchild may
    /// hold the pipe and go on writing: a pipe's capacity is 64 KiB unless somebody raised it.
    void read_to_end(const bool& destroyed) {
      for (int reads = 0; reads < 64 && !destroyed && fd_ && read_once(destroyed); ++reads) {
      }
      if (!destroyed) end_line(destroyed);
    }

   private:
    void end() {
      if (fd_) child_.loop_.unwatch(fd_.get());
      fd_.reset();
    }
    bool read_once(const bool& destroyed) {
      std::array<char, 16 * 1024> buffer;
      const ssize_t count = ::read(fd_.get(), buffer.data(), buffer.size());
      if (count < 0) {
        if (errno == EINTR) return true;
        if (errno != EAGAIN) end();
        return false;
      }
      if (count == 0) {
        end();
        end_line(destroyed);
        return false;
      }
      std::string_view bytes(buffer.data(), static_cast<std::size_t>(count));
      while (!bytes.empty()) {
        const std::size_t newline = bytes.find('\n');
        const std::size_t room = kLongestLine - line_.size();
        const std::size_t taken = std::min({newline, bytes.size(), room});
        line_.append(bytes.substr(0, taken));
        const bool ends = taken == newline;
        bytes.remove_prefix(taken + (ends ? 1 : 0));
        if (!ends && line_.size() < kLongestLine) continue;
        const std::string line = std::exchange(line_, {});
        (*child_.on_line_)(line);
        if (destroyed) return false;
      }
      return true;
    }
    void end_line(const bool& destroyed) {
      if (destroyed || line_.empty()) return;
      const std::string line = std::exchange(line_, {});
      (*child_.on_line_)(line);
    }

    LoopChild& child_;
    UniqueFd fd_;
    std::string line_;
  };

  /// Runs `work`, telling it when a callback of the owner has destroyed this child.
  template <class Work>
  bool guarded(Work work) {
    bool destroyed = false;
    destroyed_ = &destroyed;
    const auto running = on_line_;  // must not be destroyed while it runs
    work(destroyed);
    if (!destroyed) destroyed_ = nullptr;
    return !destroyed;
  }

  void on_events(std::uint32_t) override {
    int status = 0;
    const pid_t reaped = ::waitpid(pid_, &status, WNOHANG);
    if (reaped == 0 || (reaped < 0 && errno == EINTR)) return;
    reaped_ = true;
    loop_.unwatch(pidfd_.get());
    pidfd_.reset();
    ExitStatus exit;
    if (reaped < 0) {
      exit.code = -1;  // somebody else reaped it
    } else if (WIFSIGNALED(status)) {
      exit.signal = WTERMSIG(status);
    } else {
      exit.code = WEXITSTATUS(status);
    }
    const bool alive = guarded([this](const bool& destroyed) {
      if (output_) output_->read_to_end(destroyed);
      if (!destroyed && error_output_) error_output_->read_to_end(destroyed);
    });
    if (!alive || !on_exit_) return;
    auto callback = std::move(on_exit_);
    callback(exit);  // may destroy this
  }

  EventLoop& loop_;
  ChildProcessOptions options_;
  std::shared_ptr<std::function<void(std::string_view)>> on_line_;
  std::move_only_function<void(ExitStatus)> on_exit_;
  pid_t pid_ = -1;
  bool reaped_ = false;
  UniqueFd pidfd_;
  std::unique_ptr<Output> output_;
  std::unique_ptr<Output> error_output_;
  bool* destroyed_ = nullptr;
};

Result<void> LoopChild::start() {
  const std::vector<std::string> environment = environment_with(options_.extra_environment);
  const std::string program = program_of(options_.argv[0]);
  const std::vector<char*> argv = pointers_to(options_.argv);
  const std::vector<char*> variables = pointers_to(environment);
  FLEXPERT_ASSIGN(Pipe report, new_pipe());
  Pipe output;
  Pipe error_output;
  Pipe go;
  if (options_.before_exec) {
    FLEXPERT_ASSIGN(go, new_pipe());
  }
  if (!options_.output_file.empty()) {
    output.write.reset(::open(options_.output_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
    if (!output.write) return fail(ErrorCode::kUnavailable, "cannot write the log {}: {}", options_.output_file, std::strerror(errno));
    error_output.write.reset(::fcntl(output.write.get(), F_DUPFD_CLOEXEC, 3));
  } else if (options_.on_line) {
    FLEXPERT_ASSIGN(output, new_pipe());
    FLEXPERT_ASSIGN(error_output, new_pipe());
  }
  const ChildPlan plan{program.c_str(),   argv.data(),        variables.data(), output.write.get(), error_output.write.get(),
                       report.write.get(), go.read.get(),      options_.shared_fd, options_.may_outlive_us, ::getpid()};
  pid_ = ::fork();
  if (pid_ < 0) return fail(ErrorCode::kResourceExhausted, "cannot fork to run {}: {}", argv[0], std::strerror(errno));
  if (pid_ == 0) {
    if (go.write) ::close(go.write.get());  // or our own end would keep the read below from seeing the parent's death
    run_child(plan);
  }
  if (!options_.may_outlive_us) ::setpgid(pid_, pid_);
  report.write.reset();
  if (options_.before_exec) {
    FLEXPERT_TRY(options_.before_exec(pid_));  // if it fails, the destructor reaps the child, which ends without a byte
    [[maybe_unused]] const auto written = ::write(go.write.get(), "g", 1);
    go = {};
  }
  int error = 0;
  ssize_t count = 0;
  while ((count = ::read(report.read.get(), &error, sizeof error)) < 0 && errno == EINTR) {
  }
  if (count > 0) {
    const ErrorCode code = error == ENOENT ? ErrorCode::kNotFound : ErrorCode::kFailedPrecondition;
    const bool sought = error == ENOENT && program.find('/') == std::string::npos;
    return fail(code, "cannot run {}: {}", argv[0], sought ? "no program of this name is in PATH; give its whole path" : std::strerror(error));
  }
  pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  if (!pidfd_) return fail(ErrorCode::kResourceExhausted, "cannot watch the process of {}: {}", argv[0], std::strerror(errno));
  if (options_.on_line && options_.output_file.empty()) {
    output_ = std::make_unique<Output>(*this, std::move(output.read));
    error_output_ = std::make_unique<Output>(*this, std::move(error_output.read));
  }
  loop_.watch(pidfd_.get(), EPOLLIN, this);
  return {};
}

}  // namespace

std::string ExitStatus::to_string() const {
  if (signal != 0) return fmt::format("killed by signal {} ({})", signal, ::strsignal(signal));
  return fmt::format("exit code {}", code);
}

Result<std::unique_ptr<ChildProcess>> ChildProcess::spawn(EventLoop& loop, ChildProcessOptions options,
                                                          std::move_only_function<void(ExitStatus)> on_exit) {
  if (options.argv.empty()) return fail(ErrorCode::kInvalidArgument, "a child process needs a program in argv[0]");
  auto child = std::make_unique<LoopChild>(loop, std::move(options), std::move(on_exit));
  FLEXPERT_TRY(child->start());
  return std::unique_ptr<ChildProcess>(std::move(child));
}

}  // namespace flexpert::net
