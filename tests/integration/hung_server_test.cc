// Processes are stopped in their tracks, connections open; requests go on.
#include <csignal>

#include <gtest/gtest.h>

#include "base/clock.h"
#include "integration/test_fleet.h"

namespace flexpert::integration {
namespace {

TEST(Hung, AStoppedExpertServerFreezesNoStreamAndChangesNoByte) {
  TestFleet fleet({.pace_rows_per_s = 3000, .more_arguments = {}});
  ASSERT_TRUE(fleet.ready());
  const std::string body = chat_body("Tell me a story about a family.", 100, true, true);
  const SystemClock clock;
  TimePoint start = clock.now();
  StreamedChat undisturbed(fleet.loop(), fleet.gateway(), body);
  ASSERT_TRUE(undisturbed.wait_for_end(Seconds(60)));
  ASSERT_EQ(undisturbed.problem(), "");
  const Duration normal = clock.now() - start;

  start = clock.now();
  StreamedChat disturbed(fleet.loop(), fleet.gateway(), body);
  ASSERT_TRUE(disturbed.wait_for_pieces(5, Seconds(20)));
  const int victim = fleet.an_expert_server_pid();
  ASSERT_GT(victim, 0);
  ASSERT_FALSE(disturbed.ended());
  ASSERT_EQ(kill(victim, SIGSTOP), 0);
  EXPECT_TRUE(disturbed.wait_for_end(Seconds(60)));
  EXPECT_EQ(disturbed.problem(), "");
  EXPECT_EQ(disturbed.text(), undisturbed.text());
  // One wait for its answer, and what it would have computed is done elsewhere; a given-up connection would cost 10 s.
  EXPECT_LT(clock.now() - start, 2 * normal + Seconds(5));
  kill(victim, SIGCONT);

  StreamedChat after(fleet.loop(), fleet.gateway(), body);
  ASSERT_TRUE(after.wait_for_end(Seconds(60)));
  EXPECT_EQ(after.text(), undisturbed.text());
}

}  // namespace
}  // namespace flexpert::integration
