#include "scaling/planner_pool_state.h"

#include <limits>
#include <map>

#include "scaling/policy_factory.h"

namespace flexpert::scaling {
namespace {

constexpr std::int64_t kMostPolicies = 1000;

}  // namespace

Result<PlannerPoolState> make_pool_state(const PoolConfig& config, double interval_s) {
  auto traffic = PoolTrafficForecast::create(config.forecast, interval_s);
  if (!traffic) return fail(traffic.error().with_context(fmt::format("pool {}", config.id)));
  PlannerPoolState state(std::move(*traffic));
  for (const PolicyConfig& policy : config.policies) {
    auto made = make_policy(policy, config);
    if (!made) return fail(made.error().with_context(fmt::format("pool {}, policy {}", config.id, policy.name)));
    state.policies.push_back(std::move(*made));
  }
  return state;
}

std::string save_pool_state(const PoolConfig& config, const PlannerPoolState& state) {
  StateWriter writer;
  writer.tag("pool/1");
  state.traffic.save(writer);
  state.stabilisation.save(writer);
  state.roster.save(writer);
  state.asked.save(writer);
  state.growth.save(writer);
  state.warm.save(writer);
  writer.integer(state.idle_unix_ms);
  writer.integer(state.held);
  writer.integer(state.queued_cycles);
  writer.integer(static_cast<std::int64_t>(state.policies.size()));
  for (std::size_t i = 0; i < state.policies.size(); ++i) {
    StateWriter of_policy;
    state.policies[i]->save(of_policy);
    writer.text(config.policies[i].name);
    writer.text(state.policies[i]->kind());
    writer.text(of_policy.take());
  }
  return writer.take();
}

Result<void> restore_pool_state(const PoolConfig& config, PlannerPoolState& state, std::string_view text) {
  StateReader reader(text);
  reader.tag("pool/1");
  state.traffic.restore(reader);
  state.stabilisation.restore(reader);
  state.roster.restore(reader);
  state.asked.restore(reader);
  state.growth.restore(reader);
  state.warm.restore(reader);
  state.idle_unix_ms = reader.integer();
  const std::int64_t held = reader.integer();
  if (held < 0 || held > std::numeric_limits<std::uint32_t>::max()) reader.reject("a count of instances");
  state.held = static_cast<std::uint32_t>(held);
  const std::int64_t queued_cycles = reader.integer();
  if (queued_cycles < 0 || queued_cycles > 1000) reader.reject("a count of cycles");
  state.queued_cycles = static_cast<std::uint32_t>(queued_cycles);
  const std::int64_t count = reader.integer();
  if (count < 0 || count > kMostPolicies) reader.reject("a count of policies");
  std::map<std::string, std::size_t> known;
  for (std::size_t i = 0; i < state.policies.size(); ++i) known[config.policies[i].name] = i;
  for (std::int64_t i = 0; i < count && reader.ok(); ++i) {
    const auto found = known.find(reader.text());
    const std::string kind = reader.text();
    const std::string of_policy = reader.text();
    if (!reader.ok() || found == known.end() || state.policies[found->second]->kind() != kind) continue;
    StateReader policy_reader(of_policy);
    state.policies[found->second]->restore(policy_reader);
    FLEXPERT_TRY(policy_reader.result());
  }
  return reader.result();
}

}  // namespace flexpert::scaling
