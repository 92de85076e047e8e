#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "controller/tests/controller_fixture.h"
#include "scaling/pool_planner.h"

namespace flexpert::controller {

/// A planner that does what a test says, and remembers how many cycles it has planned.
class ScriptedPlanner final : public scaling::PoolPlanner {
 public:
  using Script = std::function<void(const PoolsSnapshot&, ScalePlan&)>;
  ScriptedPlanner(scaling::PlannerConfig config, Script* script) : config_(std::move(config)), script_(script) {}

  ScalePlan plan(const PoolsSnapshot& snapshot) override {
    ++planned_;
    ScalePlan out{.cycle = snapshot.cycle, .unix_ms = snapshot.unix_ms, .gpus_held = 0, .gpus_after = 0, .pools = {}, .conditions = {}};
    for (const PoolObservation& pool : snapshot.pools) {
      PoolPlan& one = out.pools.emplace_back();
      one.pool = pool.pool;
      one.reasons = {{"scripted", "as the test says", {{"planned", static_cast<double>(planned_)}}}};
    }
    if (*script_) (*script_)(snapshot, out);
    return out;
  }
  void note_not_acted() override {}
  [[nodiscard]] std::string save() const override {
    StateWriter writer;
    writer.tag("scripted/1");
    writer.integer(planned_);
    return writer.take();
  }
  Result<void> restore(const std::string& state) override {
    StateReader reader(state);
    reader.tag("scripted/1");
    planned_ = reader.integer();
    return reader.result();
  }
  [[nodiscard]] const scaling::PlannerConfig& config() const override { return config_; }

 private:
  scaling::PlannerConfig config_;
  Script* script_;
  std::int64_t planned_ = 0;
};

/// A controller with one pool, "chat", of `flexpert serve` instances that are only pretended, and no model.
class PoolControllerTest : public ControllerTest {
 protected:
  void SetUp() override {
    ControllerTest::SetUp();
    options_.config.model.reset();
    config::PoolsConfig pools;
    pools.planner.interval_s = 0.02;
    pools.planner.gpu_budget = 8;
    scaling::PoolConfig chat;
    chat.id.value = "chat";
    chat.limits = {.min = 1, .max = 4, .manual = {}};
    pools.planner.pools = {chat};
    pools.entries.resize(1);
    pools.entries[0].launch.model = "/models/fake";
    pools.entries[0].launch.drain_deadline_s = 60;
    options_.config.pools = pools;
    options_.config_text = "pools: ...";
    options_.drain_grace = Milliseconds(10);
    options_.make_planner = [this](scaling::PlannerConfig config) -> Result<std::unique_ptr<scaling::PoolPlanner>> {
      return std::make_unique<ScriptedPlanner>(std::move(config), &script_);
    };
  }

  /// Makes the next cycle's plan do this, once.
  void next_plan(PoolAction action) { actions_.push_back(std::move(action)); }
  void start_scripted() {
    script_ = [this](const PoolsSnapshot& snapshot, ScalePlan& plan) {
      newest_ = snapshot;
      ++cycles_;
      if (actions_.empty()) return;
      plan.pools[0].actions.push_back(actions_.front());
      actions_.pop_front();
    };
    start();
  }
  void launch(std::uint32_t count, bool warm = false) {
    next_plan({.kind = PoolActionKind::kStart, .instance = {}, .count = count, .warm = warm, .threads = {}, .kv_blocks = {}, .reasons = {}});
    const std::size_t before = orchestrator_.launched().size();
    ASSERT_TRUE(until([&] { return orchestrator_.launched().size() == before + count; }));
  }
  void act(PoolActionKind kind, const std::string& id) {
    next_plan({.kind = kind, .instance = {id}, .count = 1, .warm = false, .threads = {}, .kv_blocks = {}, .reasons = {}});
  }
  [[nodiscard]] bool cycles_pass(int count) {
    const int before = cycles_;
    return until([&] { return cycles_ >= before + count; });
  }
  std::string send(const std::string& method, const std::string& target, const std::string& body) {
    JsonCaller caller(loop_);
    std::optional<Result<std::string>> answer;
    caller.call(controller_->address(), method, target, body, [&](Result<std::string> text) { answer = std::move(text); });
    EXPECT_TRUE(until([&] { return answer.has_value(); }));
    return *answer ? **answer : "error: " + answer->error().message;
  }

  ScriptedPlanner::Script script_;
  std::deque<PoolAction> actions_;
  PoolsSnapshot newest_;
  int cycles_ = 0;
};

}  // namespace flexpert::controller
