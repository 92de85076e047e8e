#include "controller/plan.h"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

#include "base/rng.h"

namespace flexpert::controller {
namespace {

constexpr TimePoint kNow{std::chrono::hours(1)};

PlanInput input_of(const scaling::ExpertUtilisationState& loads, std::uint32_t active, std::uint32_t warm) {
  PlanInput input;
  input.geometry = {2, 8};
  input.limits = {.min = 2, .max = 6, .warm = 1, .slots_per_server = 32, .server_rows_per_s = 0};
  input.scaling.replica_capacity_rows_per_s = 100;
  input.loads = &loads;
  input.now = kNow;
  for (std::uint32_t i = 0; i < active + warm; ++i)
    input.servers.push_back({{fmt::format("expert-{}", i)}, fmt::format("unix:/run/e{}.sock", i), i < active});
  return input;
}

int count(const Plan& plan, ActionKind kind) {
  return static_cast<int>(std::count_if(plan.actions.begin(), plan.actions.end(), [&](const Action& a) { return a.kind == kind; }));
}

/// The input after `plan` was carried out.
PlanInput after(PlanInput input, const Plan& plan) {
  if (plan.table) input.table = *plan.table;
  for (UsableServer& server : input.servers) {
    server.active = std::any_of(input.table.endpoints.begin(), input.table.endpoints.end(), [&](const auto& e) { return e.id == server.id; });
  }
  std::erase_if(input.servers, [&](const UsableServer& s) { return std::find(plan.stop.begin(), plan.stop.end(), s.id) != plan.stop.end(); });
  for (std::uint32_t i = 0; i < plan.start; ++i) {
    const std::string name = fmt::format("expert-{}", 100 + input.servers.size());
    input.servers.push_back({{name}, "unix:/run/" + name, false});
  }
  std::stable_sort(input.servers.begin(), input.servers.end(), [](const auto& a, const auto& b) { return a.active > b.active; });
  return input;
}

scaling::ExpertUtilisationState loaded(std::vector<double> rows_per_s) {
  scaling::ExpertUtilisationState state;
  state.changed_at.assign(rows_per_s.size(), std::nullopt);
  state.rows_per_s = std::move(rows_per_s);
  return state;
}

TEST(Plan, TheFirstTablePutsEveryExpertOnceOverTheMinimumOfServers) {
  const scaling::ExpertUtilisationState loads;
  const auto plan = make_plan(input_of(loads, 0, 3));
  ASSERT_TRUE(plan) << plan.error().message;
  ASSERT_TRUE(plan->table);
  EXPECT_EQ(plan->table->epoch, 1U);
  EXPECT_EQ(plan->table->endpoints.size(), 2U);
  EXPECT_TRUE(validate(*plan->table));
  for (const auto& list : plan->table->replicas) EXPECT_EQ(list.size(), 1U);
  EXPECT_EQ(plan->activate.size(), 2U);
  EXPECT_EQ(plan->start, 0U);
  EXPECT_EQ(count(*plan, ActionKind::kPlacement), 1);
}

TEST(Plan, NothingToDoIsAnEmptyPlan) {
  const scaling::ExpertUtilisationState loads;
  const PlanInput first = input_of(loads, 0, 3);
  const auto again = make_plan(after(first, *make_plan(first)));
  EXPECT_TRUE(again->actions.empty());
  EXPECT_FALSE(again->table);
}

TEST(Plan, AHotExpertGetsReplicasAWarmServerAndTheWarmPoolIsRefilled) {
  const scaling::ExpertUtilisationState none;
  const PlanInput first = input_of(none, 0, 3);
  PlanInput input = after(first, *make_plan(first));
  std::vector<double> rows(16, 40);
  rows[3] = 500;
  scaling::ExpertUtilisationState loads = loaded(rows);
  input.loads = &loads;
  input.window = scaling::LoadWindow{1, 4096, true};
  input.scaling.cooldown = Duration::zero();
  const auto one = make_plan(input);
  ASSERT_EQ(count(*one, ActionKind::kExpertScaleUp), 1);
  EXPECT_EQ(one->table->replicas[3].size(), 2U);
  EXPECT_EQ(one->changed_slots, (std::vector<std::size_t>{3}));
  input = after(input, *one);
  const auto two = make_plan(input);
  EXPECT_EQ(two->activate.size(), 1U) << "four replicas take four servers; one more was warm";
  EXPECT_EQ(two->start, 2U) << "the fourth, and one for the warm pool";
  EXPECT_EQ(two->table->replicas[3].size(), 3U);
  input = after(input, *two);
  const auto three = make_plan(input);
  EXPECT_EQ(three->table->replicas[3].size(), 5U) << "6 wanted, on the 5 servers that are there";
}

TEST(Plan, AnExpertWhoseLoadIsForecastGetsReplicasBeforeItComes) {
  std::vector<double> rows(16, 40.0);
  const scaling::ExpertUtilisationState loads = loaded(rows);
  const PlanInput first = input_of(loads, 0, 3);
  PlanInput input = after(first, *make_plan(first));
  input.window = scaling::LoadWindow{.seconds = 5, .tokens = 4096, .full = true};
  EXPECT_EQ(count(*make_plan(input), ActionKind::kExpertScaleUp), 0);
  rows[3] = 150;
  input.prediction = scaling::ExpertPrediction{.rows_per_s = rows, .horizon_s = 300, .high = 0.7, .low = 0.3};
  const auto plan = make_plan(input);
  ASSERT_EQ(count(*plan, ActionKind::kExpertScaleUp), 1);
  const auto action = std::find_if(plan->actions.begin(), plan->actions.end(), [](const Action& a) { return a.kind == ActionKind::kExpertScaleUp; });
  EXPECT_EQ(action->slot, (ExpertSlot{0, 3}));
  EXPECT_EQ(action->reasons.at(0).code, "predicted");
}

TEST(Plan, AQuietFleetDrainsServersAndTheSurplusIsStopped) {
  const scaling::ExpertUtilisationState none;
  PlanInput input = input_of(none, 0, 6);
  input.limits.min = 5;
  input = after(input, *make_plan(input));
  ASSERT_EQ(input.table.endpoints.size(), 5U);
  input.limits.min = 2;
  const scaling::ExpertUtilisationState loads = loaded(std::vector<double>(16, 1));
  input.loads = &loads;
  input.window = scaling::LoadWindow{5, 100, false};
  const auto plan = make_plan(input);
  EXPECT_EQ(plan->drain.size(), 3U);
  EXPECT_EQ(plan->table->endpoints.size(), 2U);
  EXPECT_EQ(plan->actions.back().kind, ActionKind::kServerStop);
  input = after(input, *plan);
  EXPECT_EQ(make_plan(input)->stop.size(), 2U) << "one warm server stays";
}

TEST(Plan, ACrashedServersReplicasMoveToAWarmOneWithoutAMeasurement) {
  const scaling::ExpertUtilisationState none;
  const PlanInput first = input_of(none, 0, 3);
  PlanInput input = after(first, *make_plan(first));
  const InstanceId gone = input.servers[0].id;
  input.servers.erase(input.servers.begin());
  input.coming = 1;
  const auto plan = make_plan(input);
  ASSERT_TRUE(plan->table);
  EXPECT_EQ(plan->activate.size(), 1U);
  EXPECT_EQ(plan->start, 0U) << "the crashed one comes back by itself";
  for (const auto& endpoint : plan->table->endpoints) EXPECT_NE(endpoint.id, gone);
  for (const auto& list : plan->table->replicas) EXPECT_EQ(list.size(), 1U);
}

TEST(Plan, WithEveryServerGoneTheModelServerIsLeftWithAnEmptyTableAndLaterGetsThemBack) {
  const scaling::ExpertUtilisationState none;
  const PlanInput first = input_of(none, 0, 2);
  PlanInput input = after(first, *make_plan(first));
  const auto servers = input.servers;
  input.servers.clear();
  input.coming = 2;
  const auto empty = make_plan(input);
  ASSERT_TRUE(empty->table);
  EXPECT_TRUE(empty->table->endpoints.empty());
  EXPECT_TRUE(validate(*empty->table));
  input = after(input, *empty);
  input.coming = 0;
  input.servers = servers;
  for (UsableServer& s : input.servers) s.active = false;
  const auto back = make_plan(input);
  EXPECT_EQ(back->table->endpoints.size(), 2U);
  for (const auto& list : back->table->replicas) EXPECT_EQ(list.size(), 1U);
}

TEST(Plan, AnyHistoryKeepsEveryPromise) {
  Rng rng(29);
  for (int round = 0; round < 40; ++round) {
    scaling::ExpertUtilisationState loads;
    PlanInput input = input_of(loads, 0, 2 + static_cast<std::uint32_t>(rng.below(4)));
    input.limits.slots_per_server = 8 + static_cast<std::uint32_t>(rng.below(30));
    input.limits.server_rows_per_s = rng.below(2) == 0 ? 0 : 2000;
    std::uint64_t epoch = 0;
    for (int step = 0; step < 40; ++step) {
      std::vector<double> rows(16);
      for (double& rate : rows) rate = rng.uniform() * rng.uniform() * 800;
      loads = loaded(rows);
      input.loads = &loads;
      input.window.reset();
      if (rng.below(3) > 0) input.window = scaling::LoadWindow{1, 4096, rng.below(2) == 0};
      if (rng.below(6) == 0 && !input.servers.empty()) input.servers.erase(input.servers.begin());
      const auto plan = make_plan(input);
      ASSERT_TRUE(plan) << plan.error().message;
      std::set<InstanceId> usable;
      for (const auto& server : input.servers) usable.insert(server.id);
      if (plan->table) {
        ASSERT_TRUE(validate(*plan->table)) << validate(*plan->table).error().message;
        ASSERT_EQ(plan->table->epoch, epoch + 1);
        epoch = plan->table->epoch;
        ASSERT_LE(plan->table->endpoints.size(), 6U);
        for (const auto& endpoint : plan->table->endpoints) ASSERT_TRUE(usable.contains(endpoint.id));
        for (const auto& list : plan->table->replicas) ASSERT_LE(list.size(), 6U);
      }
      ASSERT_LE(input.servers.size() + plan->start, 6U);
      for (const InstanceId& id : plan->stop) {
        ASSERT_TRUE(!plan->table || std::none_of(plan->table->endpoints.begin(), plan->table->endpoints.end(),
                                                 [&](const auto& e) { return e.id == id; }));
      }
      input = after(input, *plan);
      std::set<std::string> names;
      for (std::size_t i = 0; i < input.servers.size(); ++i) {
        if (!names.insert(input.servers[i].id.value).second) input.servers[i].id.value += fmt::format("-{}-{}", step, i);
        names.insert(input.servers[i].id.value);
      }
    }
  }
}

}  // namespace
}  // namespace flexpert::controller
