#include <algorithm>
#include <gtest/gtest.h>

#include "controller/tests/pool_fixture.h"
#include "store/database.h"
#include "store/plan_journal.h"

namespace flexpert::controller {
namespace {

TEST_F(PoolControllerTest, StartsWhatThePlanSaysAndTellsGateways) {
  start_scripted();
  launch(2);
  ASSERT_TRUE(until([&] { return state_of("chat.1") == InstanceState::kReady; }));
  EXPECT_EQ(state_of("chat.0"), InstanceState::kReady);
  const FleetSnapshot snapshot = controller_->snapshot();
  EXPECT_EQ(snapshot.instances[0].model, "fake");
  ASSERT_EQ(snapshot.pools.size(), 1U);
  EXPECT_EQ(snapshot.pools[0].ready, 2U);
  EXPECT_TRUE(controller_->ready());
  ASSERT_TRUE(cycles_pass(1));
  ASSERT_EQ(newest_.pools[0].instances.size(), 2U);
  EXPECT_EQ(newest_.pools[0].instances[0].state, InstanceState::kReady);
  EXPECT_TRUE(newest_.pools[0].startup_s);
}

TEST_F(PoolControllerTest, AWarmInstanceTakesNoRequestsUntilItIsActivated) {
  start_scripted();
  launch(1, true);
  ASSERT_TRUE(until([&] { return state_of("chat.0") == InstanceState::kWarm; }));
  act(PoolActionKind::kActivate, "chat.0");
  EXPECT_TRUE(until([&] { return state_of("chat.0") == InstanceState::kReady; }));
}

TEST_F(PoolControllerTest, ADrainingInstanceIsStoppedOnlyWhenItIsIdle) {
  start_scripted();
  FakeModelServer instance(loop_, "unix:" + options_.runtime_dir + "/chat.0.sock", ExpertGeometry{1, 1});
  ASSERT_TRUE(instance.listening);
  instance.running = 2;
  instance.queued = 0;
  launch(1);
  ASSERT_TRUE(until([&] { return state_of("chat.0") == InstanceState::kReady; }));
  act(PoolActionKind::kDrain, "chat.0");
  ASSERT_TRUE(until([&] { return state_of("chat.0") == InstanceState::kDraining; }));
  ASSERT_TRUE(cycles_pass(20));
  EXPECT_TRUE(orchestrator_.stopped().empty());
  EXPECT_EQ(newest_.pools[0].instances[0].state, InstanceState::kDraining);
  instance.running = 0;
  EXPECT_TRUE(until([&] { return orchestrator_.stopped().size() == 1; }));
  EXPECT_TRUE(until([&] { return controller_->snapshot().instances.empty(); }));
}

TEST_F(PoolControllerTest, TheDrainDeadlineEndsIt) {
  options_.config.pools->entries[0].launch.drain_deadline_s = 0.3;
  start_scripted();
  FakeModelServer instance(loop_, "unix:" + options_.runtime_dir + "/chat.0.sock", ExpertGeometry{1, 1});
  instance.running = 1;
  launch(1);
  act(PoolActionKind::kDrain, "chat.0");
  EXPECT_TRUE(until([&] { return orchestrator_.stopped().size() == 1; }));
}

TEST_F(PoolControllerTest, ACancelledInstanceGoesAtOnce) {
  orchestrator_.set_auto_ready(false);
  start_scripted();
  launch(1);
  act(PoolActionKind::kCancel, "chat.0");
  EXPECT_TRUE(until([&] { return orchestrator_.stopped().size() == 1; }));
  EXPECT_TRUE(until([&] { return controller_->snapshot().instances.empty(); }));
}

TEST_F(PoolControllerTest, AStartThatFailsAgainAndAgainIsOneStart) {
  orchestrator_.set_auto_ready(false);
  start_scripted();
  launch(1);
  ASSERT_TRUE(cycles_pass(2));
  const std::int64_t since = newest_.pools[0].instances.at(0).since_unix_ms;
  clock_.advance(Seconds(3));
  orchestrator_.crash({"chat.0"}, "out of memory");
  ASSERT_TRUE(until([&] { return newest_.pools[0].instances.at(0).state == InstanceState::kFailed; }));
  orchestrator_.restart({"chat.0"});
  ASSERT_TRUE(until([&] { return newest_.pools[0].instances.at(0).state == InstanceState::kStarting; }));
  EXPECT_EQ(newest_.pools[0].instances[0].since_unix_ms, since);
  EXPECT_NE(get("/api/v1/status").find("instance_failing"), std::string::npos);
}

TEST_F(PoolControllerTest, ALaunchThatIsRefusedIsNotTriedEveryCycle) {
  start_scripted();
  orchestrator_.refuse_launches("no such program");
  for (int i = 0; i < 10; ++i)
    next_plan({.kind = PoolActionKind::kStart, .instance = {}, .count = 2, .warm = false, .threads = {}, .kv_blocks = {}, .reasons = {}});
  ASSERT_TRUE(until([&] { return actions_.empty(); }));
  const std::string status = get("/api/v1/status");
  EXPECT_NE(status.find("launch_failed"), std::string::npos) << status;
  EXPECT_NE(status.find("\"failures\":1}"), std::string::npos) << status;
}

TEST_F(PoolControllerTest, ALaunchThatIsRefusedIsTriedAgainAndMeanwhileSeen) {
  start_scripted();
  orchestrator_.refuse_launches("no space left");
  next_plan({.kind = PoolActionKind::kStart, .instance = {}, .count = 2, .warm = false, .threads = {}, .kv_blocks = {}, .reasons = {}});
  ASSERT_TRUE(until([&] { return newest_.pools.size() == 1 && newest_.pools[0].instances.size() == 2; }));
  EXPECT_EQ(newest_.pools[0].instances[0].state, InstanceState::kFailed);
  act(PoolActionKind::kCancel, "chat.1");
  ASSERT_TRUE(until([&] { return newest_.pools[0].instances.size() == 1; }));
  orchestrator_.refuse_launches("");
  EXPECT_TRUE(until([&] { return state_of("chat.0") == InstanceState::kReady; }));
  EXPECT_EQ(orchestrator_.launched().size(), 1U);
  EXPECT_EQ(get("/api/v1/status").find("launch_failed"), std::string::npos);
}

TEST_F(PoolControllerTest, CyclesAreJournalledAndShown) {
  start_scripted();
  launch(1);
  ASSERT_TRUE(cycles_pass(3));
  EXPECT_NE(get("/api/v1/decisions?limit=5").find("\"kind\":\"start\""), std::string::npos);
  auto journal = store::PlanJournal::open_existing(options_.runtime_dir + "/flexpert.db");
  ASSERT_TRUE(journal) << journal.error().message;
  std::vector<store::PlanRow> rows;
  ASSERT_TRUE((*journal)->for_each([&](const store::PlanRow& row) {
    rows.push_back(row);
    return true;
  }));
  ASSERT_GE(rows.size(), 4U);
  EXPECT_EQ(rows[0].kind, "start");
  EXPECT_EQ(rows[1].kind, "cycle");
  EXPECT_NE(rows[1].record.find("\"cycle\":1,"), std::string::npos);
}

TEST_F(PoolControllerTest, AJournalWithAGapGoesOnWithThePlannersStateBeforeTheNextCycle) {
  start_scripted();
  ASSERT_TRUE(cycles_pass(1));
  const std::string path = options_.runtime_dir + "/flexpert.db";
  auto other = store::Database::open(path, store::Database::Mode::kWrite);
  ASSERT_TRUE(other) << other.error().message;
  ASSERT_TRUE(other->execute("ALTER TABLE cycles RENAME TO away"));
  ASSERT_TRUE(until([&] { return get("/api/v1/status").find("journal_failed") != std::string::npos; }));
  ASSERT_TRUE(other->execute("ALTER TABLE away RENAME TO cycles"));
  ASSERT_TRUE(until([&] { return get("/api/v1/status").find("journal_failed") == std::string::npos; }));
  auto journal = store::PlanJournal::open_existing(path);
  ASSERT_TRUE(journal) << journal.error().message;
  std::vector<std::string> kinds;
  ASSERT_TRUE((*journal)->for_each([&](const store::PlanRow& row) {
    kinds.push_back(row.kind);
    return true;
  }));
  ASSERT_GE(kinds.size(), 4U);
  EXPECT_EQ(std::count(kinds.begin(), kinds.end(), "start"), 2);
  EXPECT_EQ(kinds.back(), "cycle");
}

TEST_F(PoolControllerTest, DryRunPlansAndDoesNothing) {
  options_.config.controller.dry_run = true;
  start_scripted();
  next_plan({.kind = PoolActionKind::kStart, .instance = {}, .count = 1, .warm = false, .threads = {}, .kv_blocks = {}, .reasons = {}});
  ASSERT_TRUE(cycles_pass(3));
  EXPECT_TRUE(orchestrator_.launched().empty());
  EXPECT_NE(get("/api/v1/decisions").find("\"kind\":\"start\""), std::string::npos);
}

TEST_F(PoolControllerTest, TheNextControllerGoesOnWhereThisOneWas) {
  start_scripted();
  launch(2);
  ASSERT_TRUE(until([&] { return state_of("chat.1") == InstanceState::kReady; }));
  act(PoolActionKind::kDrain, "chat.1");
  ASSERT_TRUE(until([&] { return state_of("chat.1") == InstanceState::kDraining; }));
  ASSERT_TRUE(cycles_pass(2));
  EXPECT_EQ(send("PUT", "/api/v1/budget", R"({"gpus":5})"), R"({"gpus":5})");
  const std::uint64_t cycle = newest_.cycle;
  const std::vector<platform::LaunchSpec> launched = orchestrator_.launched();
  controller_.reset();
  for (const auto& spec : launched) orchestrator_.left_running(spec, InstanceState::kReady);
  start();
  ASSERT_TRUE(cycles_pass(1));
  EXPECT_GT(newest_.cycle, cycle);
  EXPECT_EQ(newest_.gpu_budget, 5U);
  ASSERT_EQ(newest_.pools[0].instances.size(), 2U);
  EXPECT_EQ(newest_.pools[0].instances[0].state, InstanceState::kReady);
  EXPECT_EQ(newest_.pools[0].instances[1].state, InstanceState::kDraining);
  EXPECT_TRUE(newest_.pools[0].startup_s);
  launch(1);
  EXPECT_EQ(orchestrator_.launched().back().id.value, "chat.2");
}

TEST_F(PoolControllerTest, LimitsAreChangedAsAWholeOrNotAtAll) {
  start_scripted();
  EXPECT_EQ(send("PUT", "/api/v1/pools/chat/limits", R"({"min":2,"max":6})"), R"({"pool":"chat","min":2,"max":6,"manual":null})");
  EXPECT_NE(send("PUT", "/api/v1/pools/chat/limits", R"({"min":7})").find("max: must be at least min (7)"), std::string::npos);
  EXPECT_NE(send("PUT", "/api/v1/pools/chat/limits", R"({"min":3,"most":1})").find("most: unknown field"), std::string::npos);
  EXPECT_NE(send("PUT", "/api/v1/pools/chat/limits", R"({"manual":9})").find("manual: must be from 2 to 6"), std::string::npos);
  EXPECT_NE(send("PUT", "/api/v1/pools/none/limits", R"({"min":1})").find("there is no pool"), std::string::npos);
  EXPECT_NE(send("POST", "/api/v1/budget", R"({"gpus":1})").find("gpus: the pools' minima need 2 GPUs"), std::string::npos);
  EXPECT_EQ(send("POST", "/api/v1/pools/chat/limits", R"({"manual":4})"), R"({"pool":"chat","min":2,"max":6,"manual":4})");
  ASSERT_TRUE(cycles_pass(2));
  EXPECT_EQ(newest_.pools[0].limits, (PoolLimits{.min = 2, .max = 6, .manual = 4}));
}

TEST_F(PoolControllerTest, DrainStopsEveryInstance) {
  start_scripted();
  launch(3);
  bool done = false;
  controller_->drain(Seconds(5), [&] { done = true; });
  EXPECT_TRUE(until([&] { return done; }));
  EXPECT_EQ(orchestrator_.stopped().size(), 3U);
}

}  // namespace
}  // namespace flexpert::controller
