#include "net/child_process.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include <algorithm>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "net/signals.h"

namespace flexpert::net {
namespace {

struct Outcome {
  ExitStatus status;
  std::vector<std::string> lines;
  bool exited = false;
};

Outcome run_shell(const std::string& script, std::vector<std::string> environment = {}) {
  EventLoop loop;
  Outcome run;
  auto child = ChildProcess::spawn(loop,
                                   {.argv = {"/bin/sh", "-c", script},
                                    .extra_environment = std::move(environment),
                                    .on_line = [&](std::string_view line) { run.lines.emplace_back(line); }},
                                   [&](ExitStatus status) {
                                     run.status = status;
                                     run.exited = true;
                                     loop.stop();
                                   });
  EXPECT_TRUE(child) << child.error().message;
  loop.call_after(Seconds(20), [&] { loop.stop(); });
  if (child) loop.run();
  EXPECT_TRUE(run.exited);
  return run;
}

TEST(ChildProcess, ReportsItsExitCode) {
  const Outcome run = run_shell("exit 7");
  EXPECT_EQ(run.status.code, 7);
  EXPECT_EQ(run.status.signal, 0);
  EXPECT_EQ(run.status.to_string(), "exit code 7");
}

TEST(ChildProcess, ReportsTheSignalThatKilledIt) {
  const Outcome run = run_shell("kill -9 $$");
  EXPECT_EQ(run.status.signal, SIGKILL);
  EXPECT_EQ(run.status.to_string().substr(0, 18), "killed by signal 9");
}

TEST(ChildProcess, DeliversLinesOfStdoutAndStderrAndTheUnfinishedLast) {
  Outcome run = run_shell("echo one; echo two >&2; printf three");
  std::sort(run.lines.begin(), run.lines.end());
  EXPECT_EQ(run.lines, (std::vector<std::string>{"one", "three", "two"}));
}

TEST(ChildProcess, CutsLinesThatAreTooLong) {
  const Outcome run = run_shell("head -c 150000 /dev/zero | tr '\\0' x; echo; echo end");
  ASSERT_EQ(run.lines.size(), 4U);
  EXPECT_EQ(run.lines[0].size(), 65536U);
  EXPECT_EQ(run.lines[0].size() + run.lines[1].size() + run.lines[2].size(), 150000U);
  EXPECT_EQ(run.lines[3], "end");
}

TEST(ChildProcess, GetsExtraEnvironmentInPlaceOfOurs) {
  ::setenv("FLEXPERT_TEST_VARIABLE", "ours", 1);
  EXPECT_EQ(run_shell("echo $FLEXPERT_TEST_VARIABLE").lines, std::vector<std::string>{"ours"});
  EXPECT_EQ(run_shell("echo $FLEXPERT_TEST_VARIABLE", {"FLEXPERT_TEST_VARIABLE=theirs"}).lines, std::vector<std::string>{"theirs"});
  ::unsetenv("FLEXPERT_TEST_VARIABLE");
}

TEST(ChildProcess, InheritsNoDescriptorEvenIfItLacksCloseOnExec) {
  const int leaky = ::open("/dev/null", O_RDONLY);
  ASSERT_GE(leaky, 0);
  const Outcome run = run_shell("ls -l /proc/self/fd | grep -c null");
  ::close(leaky);
  EXPECT_EQ(run.lines, std::vector<std::string>{"1"});  // stdin alone
}

TEST(ChildProcess, StartsWithNoSignalBlocked) {
  EventLoop loop;
  const SignalWatcher watcher(loop, {SIGTERM}, [](int) {});
  const Outcome run = run_shell("kill -TERM $$; echo survived");
  EXPECT_EQ(run.status.signal, SIGTERM);
  EXPECT_TRUE(run.lines.empty());
}

TEST(ChildProcess, RefusesAProgramThatDoesNotExist) {
  EventLoop loop;
  const auto child = ChildProcess::spawn(loop, {.argv = {"/nowhere/program"}}, [](ExitStatus) {});
  ASSERT_FALSE(child);
  EXPECT_EQ(child.error().code, ErrorCode::kNotFound);
  EXPECT_NE(child.error().message.find("/nowhere/program"), std::string::npos);
  EXPECT_FALSE(ChildProcess::spawn(loop, {}, [](ExitStatus) {}));
}

TEST(ChildProcess, IsSignalledAndMayBeDestroyedByItsOwnCallback) {
  EventLoop loop;
  std::unique_ptr<ChildProcess> child;
  ExitStatus status;
  auto spawned = ChildProcess::spawn(loop,
                                     {.argv = {"/bin/sh", "-c", "echo ready; while :; do read x < /dev/zero; done"},
                                      .on_line = [&](std::string_view) { child->signal(SIGTERM); }},
                                     [&](ExitStatus exit) {
                                       status = exit;
                                       child.reset();
                                       loop.stop();
                                     });
  ASSERT_TRUE(spawned);
  child = std::move(*spawned);
  loop.call_after(Seconds(20), [&] { loop.stop(); });
  loop.run();
  EXPECT_EQ(status.signal, SIGTERM);
}

/// Waits up to 20 s until the process behind `pidfd` has ended.
bool ends(int pidfd) {
  const UniqueFd epoll(::epoll_create1(0));
  epoll_event event{.events = EPOLLIN, .data = {}};
  ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, pidfd, &event);
  return ::epoll_wait(epoll.get(), &event, 1, 20000) == 1;
}

TEST(ChildProcess, DestroyingItKillsItAndItsGroup) {
  EventLoop loop;
  std::string grandchild;
  auto child = ChildProcess::spawn(loop,
                                   {.argv = {"/bin/sh", "-c", "sleep 1000 & echo $!; wait"},
                                    .on_line = [&](std::string_view line) { grandchild = line; loop.stop(); }},
                                   [](ExitStatus) {});
  ASSERT_TRUE(child);
  loop.call_after(Seconds(20), [&] { loop.stop(); });
  loop.run();
  ASSERT_FALSE(grandchild.empty());
  const int pid = (*child)->pid();
  const UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, std::stoi(grandchild), 0)));
  ASSERT_TRUE(pidfd);
  child->reset();
  EXPECT_EQ(::kill(pid, 0), -1);
  EXPECT_TRUE(ends(pidfd.get()));
}

TEST(ChildProcess, FindsProgramsInPath) {
  EventLoop loop;
  std::optional<ExitStatus> exit;
  const auto child = ChildProcess::spawn(loop, {.argv = {"true"}}, [&](ExitStatus status) {
    exit = status;
    loop.stop();
  });
  ASSERT_TRUE(child) << child.error().message;
  loop.call_after(Seconds(20), [&] { loop.stop(); });
  loop.run();
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->code, 0);
  const auto absent = ChildProcess::spawn(loop, {.argv = {"no-such-program-of-ours"}}, [](ExitStatus) {});
  ASSERT_FALSE(absent);
  EXPECT_NE(absent.error().message.find("PATH"), std::string::npos) << absent.error().message;
}

TEST(ChildProcess, DiesWhenItsParentIsKilled) {
  std::array<int, 2> report{};
  ASSERT_EQ(::pipe2(report.data(), O_CLOEXEC), 0);
  const pid_t parent = ::fork();
  ASSERT_GE(parent, 0);
  if (parent == 0) {
    EventLoop loop;
    auto child = ChildProcess::spawn(loop, {.argv = {"/bin/sleep", "1000"}}, [](ExitStatus) {});
    const int pid = child ? (*child)->pid() : -1;
    if (::write(report[1], &pid, sizeof pid) != sizeof pid) ::_exit(1);
    loop.run();
    ::_exit(0);
  }
  int child = -1;
  ASSERT_EQ(::read(report[0], &child, sizeof child), static_cast<ssize_t>(sizeof child));
  ASSERT_GT(child, 0);
  const UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  ASSERT_TRUE(pidfd);
  ::kill(parent, SIGKILL);
  ::waitpid(parent, nullptr, 0);
  EXPECT_TRUE(ends(pidfd.get()));
  ::close(report[0]);
  ::close(report[1]);
}

TEST(SignalWatcher, DeliversSignalsFromTheLoop) {
  EventLoop loop;
  std::vector<int> seen;
  {
    const SignalWatcher watcher(loop, {SIGUSR1, SIGTERM}, [&](int signal) {
      seen.push_back(signal);
      if (seen.size() == 2) loop.stop();
    });
    ::raise(SIGUSR1);
    ::raise(SIGTERM);
    EXPECT_TRUE(seen.empty());
    loop.call_after(Seconds(20), [&] { loop.stop(); });
    loop.run();
  }
  std::sort(seen.begin(), seen.end());
  EXPECT_EQ(seen, (std::vector<int>{SIGUSR1, SIGTERM}));
  sigset_t mask;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  EXPECT_EQ(::sigismember(&mask, SIGTERM), 0);
}

}  // namespace
}  // namespace flexpert::net
