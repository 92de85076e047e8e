#include "platform/local_processes.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "http/server.h"
#include "net/socket.h"

namespace flexpert::platform {
namespace {

namespace fs = std::filesystem;

class LocalProcessesTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "flexpert-platform-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    dir_ = pattern;
    LocalProcessesOptions options;
    options.log_dir = dir_;
    options.probe_interval = Milliseconds(5);
    options.shortest_backoff = Milliseconds(10);
    processes_ = std::make_unique<LocalProcesses>(loop_, options);
    processes_->set_on_change([this](const Observed& observed) { seen_.push_back(observed); });
    // Something that children can be "ready" at, so that a shell needs no server.
    address_ = net::Address{true, dir_ + "/ready.sock", 0};
    auto listening = net::listen_on(address_);
    ASSERT_TRUE(listening);
    listening_ = std::move(*listening);
  }
  void TearDown() override {
    processes_.reset();
    fs::remove_all(dir_);
  }

  LaunchSpec shell(const std::string& id, const std::string& script) const {
    LaunchSpec spec;
    spec.id = {id};
    spec.argv = {"/bin/sh", "-c", script};
    spec.readiness.address = address_.to_string();
    spec.drain_deadline = Milliseconds(200);
    return spec;
  }
  template <class Condition>
  bool until(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + Seconds(20);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      loop_.run_once(Milliseconds(20));
    }
    return true;
  }
  bool saw(InstanceState state, std::size_t times = 1) const {
    std::size_t count = 0;
    for (const Observed& observed : seen_) count += observed.state == state;
    return count >= times;
  }
  std::string log_of(const std::string& id) const {
    std::stringstream text;
    text << std::ifstream(dir_ + "/" + id + ".log").rdbuf();
    return text.str();
  }

  std::string dir_;
  net::EventLoop loop_;
  net::Address address_;
  net::UniqueFd listening_;
  std::unique_ptr<LocalProcesses> processes_;
  std::vector<Observed> seen_;
};

TEST_F(LocalProcessesTest, BecomesReadyAndStopsOnTerm) {
  ASSERT_TRUE(processes_->launch(shell("a", "exec sleep 1000")));
  EXPECT_EQ(processes_->observe()[0].state, InstanceState::kStarting);
  ASSERT_TRUE(until([&] { return saw(InstanceState::kReady); }));
  const auto pid = static_cast<pid_t>(processes_->observe()[0].pid);
  EXPECT_EQ(::kill(pid, 0), 0);
  ASSERT_TRUE(processes_->stop({"a"}));
  ASSERT_TRUE(until([&] { return saw(InstanceState::kStopped); }));
  EXPECT_EQ(::kill(pid, 0), -1) << "gone and reaped";
  EXPECT_FALSE(processes_->stop({"a"})) << "it is not there any more";
}

TEST_F(LocalProcessesTest, IsNotReadyBeforeItsAddressAnswers) {
  LaunchSpec spec = shell("a", "exec sleep 1000");
  spec.readiness.address = "unix:" + dir_ + "/later.sock";
  ASSERT_TRUE(processes_->launch(spec));
  for (int i = 0; i < 10; ++i) loop_.run_once(Milliseconds(10));
  EXPECT_TRUE(seen_.empty());
  auto later = net::listen_on(*net::Address::parse(spec.readiness.address));
  ASSERT_TRUE(later);
  EXPECT_TRUE(until([&] { return saw(InstanceState::kReady); }));
}

TEST_F(LocalProcessesTest, AnHttpProbeWaitsFor200) {
  int status = 503;
  http::Server server(loop_, {}, [&](const http::Request& request, http::Responder responder) {
    responder.respond(http::json_response(request.path() == "/ready" ? status : 404, "{}"));
  });
  const auto address = server.listen({true, dir_ + "/http.sock", 0});
  ASSERT_TRUE(address);
  LaunchSpec spec = shell("a", "exec sleep 1000");
  spec.readiness = {address->to_string(), "/ready", Seconds(30)};
  ASSERT_TRUE(processes_->launch(spec));
  for (int i = 0; i < 20; ++i) loop_.run_once(Milliseconds(5));
  EXPECT_TRUE(seen_.empty());
  status = 200;
  EXPECT_TRUE(until([&] { return saw(InstanceState::kReady); }));
}

TEST_F(LocalProcessesTest, ACrashIsReportedWithTheLastLineAndRestarted) {
  ASSERT_TRUE(processes_->launch(shell("a", "echo about to fail; exit 3")));
  ASSERT_TRUE(until([&] { return saw(InstanceState::kFailed, 3); }));
  // A slow shell may have been seen as ready first: the address answers all the time here.
  const auto failed = std::find_if(seen_.begin(), seen_.end(), [](const Observed& o) { return o.state == InstanceState::kFailed; });
  EXPECT_NE(failed->last_error.find("exit code 3"), std::string::npos) << failed->last_error;
  EXPECT_NE(failed->last_error.find("about to fail"), std::string::npos) << failed->last_error;
  EXPECT_GE(processes_->observe()[0].restarts, 2U);
}

TEST_F(LocalProcessesTest, Kill9IsNoticedAndTheNextProcessBecomesReady) {
  ASSERT_TRUE(processes_->launch(shell("a", "exec sleep 1000")));
  ASSERT_TRUE(until([&] { return saw(InstanceState::kReady); }));
  const auto first = static_cast<pid_t>(processes_->observe()[0].pid);
  ::kill(first, SIGKILL);
  ASSERT_TRUE(until([&] { return saw(InstanceState::kReady, 2); }));
  EXPECT_TRUE(saw(InstanceState::kFailed));
  EXPECT_NE(processes_->observe()[0].pid, first);
  EXPECT_EQ(processes_->observe()[0].restarts, 1U);
}

TEST_F(LocalProcessesTest, WhatIgnoresTermIsKilledAfterTheDeadline) {
  ASSERT_TRUE(processes_->launch(shell("a", "trap '' TERM; echo deaf; while :; do sleep 1000; done")));
  ASSERT_TRUE(until([&] { return !processes_->last_lines({"a"}).empty(); }));
  ASSERT_TRUE(processes_->stop({"a"}));
  ASSERT_TRUE(until([&] { return saw(InstanceState::kStopped); }));
  EXPECT_NE(seen_.back().last_error.find("killed: not gone 0.2 s after SIGTERM"), std::string::npos) << seen_.back().last_error;
}

TEST_F(LocalProcessesTest, WhatIsNeverReadyIsKilledAndSaidSo) {
  LaunchSpec spec = shell("a", "exec sleep 1000");
  spec.readiness = {"unix:" + dir_ + "/nobody.sock", "", Milliseconds(50)};
  spec.restart_on_crash = false;
  ASSERT_TRUE(processes_->launch(spec));
  ASSERT_TRUE(until([&] { return saw(InstanceState::kFailed); }));
  EXPECT_NE(seen_[0].last_error.find("not ready within 0.1 s"), std::string::npos) << seen_[0].last_error;
  EXPECT_EQ(processes_->observe()[0].pid, 0);
}

TEST_F(LocalProcessesTest, KeepsTheNewestLinesAndAFilePerInstance) {
  LaunchSpec spec = shell("a", "i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i+1)); done; echo last >&2");
  spec.restart_on_crash = false;
  ASSERT_TRUE(processes_->launch(spec));
  ASSERT_TRUE(until([&] { return saw(InstanceState::kFailed); }));
  EXPECT_EQ(processes_->last_lines({"a"}).size(), 200U);
  const std::string log = log_of("a");
  EXPECT_NE(log.find("line 0\n"), std::string::npos);
  EXPECT_NE(log.find("line 299\n"), std::string::npos);
  EXPECT_NE(log.find("last\n"), std::string::npos);
}

TEST_F(LocalProcessesTest, AStoppedInstanceThatWaitsForItsRestartStopsToo) {
  ASSERT_TRUE(processes_->launch(shell("a", "exit 1")));
  ASSERT_TRUE(until([&] { return saw(InstanceState::kFailed, 5); })) << "the pause is long by now";
  ASSERT_TRUE(processes_->stop({"a"}));
  ASSERT_TRUE(until([&] { return saw(InstanceState::kStopped); }));
  seen_.clear();
  ASSERT_TRUE(processes_->launch(shell("a", "exec sleep 1000"))) << "the id is free again";
  EXPECT_TRUE(until([&] { return saw(InstanceState::kReady); }));
}

TEST_F(LocalProcessesTest, RefusesWhatCannotBeRunOrNamed) {
  LaunchSpec spec = shell("a", "");
  spec.argv = {dir_ + "/no-such-program"};
  EXPECT_FALSE(processes_->launch(spec));
  EXPECT_TRUE(processes_->observe().empty());
  EXPECT_FALSE(processes_->launch(shell("../a", "exit 0")));
  EXPECT_FALSE(processes_->launch(shell("", "exit 0")));
  ASSERT_TRUE(processes_->launch(shell("b", "exec sleep 1000")));
  EXPECT_FALSE(processes_->launch(shell("b", "exec sleep 1000")));
}

TEST_F(LocalProcessesTest, DestroyingItLeavesNoOrphans) {
  ASSERT_TRUE(processes_->launch(shell("a", "trap '' TERM; while :; do sleep 1000; done")));
  const auto pid = static_cast<pid_t>(processes_->observe()[0].pid);
  processes_.reset();
  EXPECT_EQ(::kill(pid, 0), -1);
}

TEST_F(LocalProcessesTest, ChildrenDieWhenTheirParentIsKilled9) {
  int pipe_ends[2];
  ASSERT_EQ(::pipe(pipe_ends), 0);
  const pid_t parent = ::fork();
  ASSERT_GE(parent, 0);
  if (parent == 0) {
    net::EventLoop loop;
    LocalProcesses processes(loop, {});
    LaunchSpec spec = shell("a", "exec sleep 1000");
    if (!processes.launch(spec)) ::_exit(1);
    const std::int64_t pid = processes.observe()[0].pid;
    if (::write(pipe_ends[1], &pid, sizeof pid) != sizeof pid) ::_exit(2);
    for (;;) ::pause();
  }
  std::int64_t child = 0;
  ASSERT_EQ(::read(pipe_ends[0], &child, sizeof child), static_cast<ssize_t>(sizeof child));
  ::close(pipe_ends[0]);
  ::close(pipe_ends[1]);
  ASSERT_EQ(::kill(static_cast<pid_t>(child), 0), 0);
  ::kill(parent, SIGKILL);
  ASSERT_EQ(::waitpid(parent, nullptr, 0), parent);
  // Gone, or a zombie that init has not reaped yet: what counts is that it does not run.
  const auto dead = [&] {
    std::ifstream stat(fmt::format("/proc/{}/stat", child));
    std::string line;
    if (!std::getline(stat, line)) return true;
    return line.substr(line.rfind(')') + 2, 1) == "Z";
  };
  EXPECT_TRUE(until(dead));
}

/// Forks a predecessor that launches `specs` with records in `dir`, waits until they are ready, and is killed with SIGKILL.
void run_and_kill_predecessor(const std::string& dir, std::vector<LaunchSpec> specs) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t predecessor = ::fork();
  ASSERT_GE(predecessor, 0);
  if (predecessor == 0) {
    net::EventLoop loop;
    LocalProcesses processes(loop, {.log_dir = dir, .record_dir = dir});
    std::size_t missing = specs.size();
    processes.set_on_change([&](const Observed& observed) { missing -= observed.state == InstanceState::kReady ? 1 : 0; });
    for (LaunchSpec& spec : specs)
      if (!processes.launch(std::move(spec))) ::_exit(1);
    while (missing > 0) loop.run_once(Milliseconds(20));
    if (::write(ready[1], "x", 1) != 1) ::_exit(2);
    for (;;) ::pause();
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  ::kill(predecessor, SIGKILL);
  ASSERT_EQ(::waitpid(predecessor, nullptr, 0), predecessor);
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_F(LocalProcessesTest, InstancesThatMayOutliveAKilledPredecessorAreTakenOver) {
  LaunchSpec survivor = shell("survivor", "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.01; done");
  LaunchSpec mortal = shell("mortal", "exec sleep 100");
  survivor.may_outlive_us = true;
  run_and_kill_predecessor(dir_, {survivor, mortal});
  processes_ = std::make_unique<LocalProcesses>(loop_, LocalProcessesOptions{.log_dir = dir_, .record_dir = dir_});
  processes_->set_on_change([this](const Observed& observed) { seen_.push_back(observed); });
  const std::vector<Recovered> recovered = processes_->recover();
  ASSERT_EQ(recovered.size(), 1U);
  EXPECT_EQ(recovered[0].spec.id.value, "survivor");
  EXPECT_EQ(recovered[0].spec.argv, survivor.argv);
  EXPECT_EQ(recovered[0].seen.state, InstanceState::kReady);
  EXPECT_EQ(::kill(static_cast<pid_t>(recovered[0].seen.pid), 0), 0);
  ASSERT_TRUE(until([&] { return saw(InstanceState::kReady); }));
  ASSERT_TRUE(processes_->stop({"survivor"}));
  ASSERT_TRUE(until([&] { return saw(InstanceState::kStopped); }));
  EXPECT_EQ(seen_.back().last_error, "");
  EXPECT_EQ(log_of("survivor"), "up\nbye\n");
  EXPECT_TRUE(processes_->recover().empty());
}

TEST_F(LocalProcessesTest, AnAdoptedInstanceThatCrashesIsStartedAgain) {
  LaunchSpec spec = shell("one", "echo up; exec sleep 100");
  spec.may_outlive_us = true;
  run_and_kill_predecessor(dir_, {spec});
  processes_ = std::make_unique<LocalProcesses>(loop_, LocalProcessesOptions{.log_dir = dir_, .record_dir = dir_, .shortest_backoff = Milliseconds(10)});
  processes_->set_on_change([this](const Observed& observed) { seen_.push_back(observed); });
  const std::vector<Recovered> recovered = processes_->recover();
  ASSERT_EQ(recovered.size(), 1U);
  ::kill(static_cast<pid_t>(recovered[0].seen.pid), SIGKILL);
  ASSERT_TRUE(until([&] { return saw(InstanceState::kFailed) && seen_.back().state == InstanceState::kReady; }));
  EXPECT_NE(seen_.back().pid, recovered[0].seen.pid);
  EXPECT_EQ(seen_.back().restarts, 1U);
}

TEST_F(LocalProcessesTest, ARecordOfAnotherProcessWithTheSamePidIsDropped) {
  ProcessRecord record;
  record.spec = shell("old", "exit");
  record.identity = *identity_of(::getpid());
  record.identity.start_ticks -= 1;
  ProcessRecords records(dir_);
  ASSERT_TRUE(records.write(record));
  std::ofstream(dir_ + "/broken.process") << "not a record";
  LocalProcesses next(loop_, {.log_dir = "", .record_dir = dir_});
  EXPECT_TRUE(next.recover().empty());
  EXPECT_FALSE(fs::exists(dir_ + "/old.process"));
  EXPECT_FALSE(fs::exists(dir_ + "/broken.process"));
}

}  // namespace
}  // namespace flexpert::platform
