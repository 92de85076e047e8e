// Processes are killed; requests are not lost.
#include <csignal>

#include <gtest/gtest.h>

#include "integration/test_fleet.h"

namespace flexpert::integration {
namespace {

TEST(Failure, KilledExpertServerCostsNoRequestAndNoByte) {
  TestFleet fleet({.pace_rows_per_s = 3000, .more_arguments = {}});
  ASSERT_TRUE(fleet.ready());
  const std::string body = chat_body("Tell me a story about a family.", 100, true, true);
  StreamedChat undisturbed(fleet.loop(), fleet.gateway(), body);
  ASSERT_TRUE(undisturbed.wait_for_end(Seconds(60)));
  ASSERT_EQ(undisturbed.problem(), "");
  ASSERT_FALSE(undisturbed.text().empty());

  StreamedChat disturbed(fleet.loop(), fleet.gateway(), body);
  ASSERT_TRUE(disturbed.wait_for_pieces(5, Seconds(20)));
  const int victim = fleet.an_expert_server_pid();
  ASSERT_GT(victim, 0);
  ASSERT_FALSE(disturbed.ended());
  ASSERT_EQ(kill(victim, SIGKILL), 0);
  EXPECT_TRUE(disturbed.wait_for_end(Seconds(60)));
  EXPECT_EQ(disturbed.problem(), "");
  EXPECT_EQ(disturbed.text(), undisturbed.text());

  // The fleet heals: as many servers as before, none of them the victim.
  EXPECT_TRUE(run_until(fleet.loop(), Seconds(20), [&] {
    std::size_t serving = 0;
    for (const InstanceStatus& instance : fleet.snapshot().instances)
      if (instance.role == InstanceRole::kExpertServer && instance.state == InstanceState::kReady && instance.slots > 0 && instance.pid != victim) ++serving;
    return serving >= 2;
  }));
}

TEST(Failure, AllExpertServersKilledAtOnceCostNoRequestEither) {
  TestFleet fleet({.pace_rows_per_s = 3000, .more_arguments = {}});
  ASSERT_TRUE(fleet.ready());
  const std::string body = chat_body("Write a Python function named parse_line.", 80, true, true);
  StreamedChat undisturbed(fleet.loop(), fleet.gateway(), body);
  ASSERT_TRUE(undisturbed.wait_for_end(Seconds(60)));
  ASSERT_EQ(undisturbed.problem(), "");

  StreamedChat disturbed(fleet.loop(), fleet.gateway(), body);
  ASSERT_TRUE(disturbed.wait_for_pieces(5, Seconds(20)));
  for (const InstanceStatus& instance : fleet.snapshot().instances)
    if (instance.role == InstanceRole::kExpertServer && instance.pid > 0) kill(static_cast<pid_t>(instance.pid), SIGKILL);
  EXPECT_TRUE(disturbed.wait_for_end(Seconds(60)));
  EXPECT_EQ(disturbed.problem(), "");
  EXPECT_EQ(disturbed.text(), undisturbed.text());
}

TEST(Failure, KilledFleetLeavesNoOrphan) {
  TestFleet fleet;
  ASSERT_TRUE(fleet.ready());
  const std::vector<int> pids = fleet.instance_pids();
  ASSERT_GE(pids.size(), 4U);
  for (const int pid : pids) ASSERT_TRUE(is_running(pid));
  fleet.program().signal(SIGKILL);
  ASSERT_TRUE(fleet.program().wait_for_exit(Seconds(10)).has_value());
  EXPECT_TRUE(run_until(fleet.loop(), Seconds(10), [&] {
    for (const int pid : pids)
      if (is_running(pid)) return false;
    return true;
  }));
}

TEST(Failure, ANewFleetRemovesWhatAKilledOneLeft) {
  TestFleet fleet;
  ASSERT_TRUE(fleet.ready());
  fleet.program().signal(SIGKILL);
  ASSERT_TRUE(fleet.program().wait_for_exit(Seconds(10)).has_value());
  net::EventLoop loop;
  RunningProgram second(loop, {"up", "-c", fleet.config_path()}, fleet.environment());
  ASSERT_NE(second.wait_for_line("ready: ", Seconds(60)), "") << second.output();
  second.signal(SIGTERM);
  ASSERT_TRUE(second.wait_for_exit(Seconds(30)).has_value());
  const Finished status = run_program({"status"}, fleet.environment());
  EXPECT_EQ(status.exit_code, 1);
  EXPECT_NE(status.output.find("no fleet runs here"), std::string::npos) << status.output;
}

}  // namespace
}  // namespace flexpert::integration
