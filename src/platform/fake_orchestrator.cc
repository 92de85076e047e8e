#include "platform/fake_orchestrator.h"

namespace flexpert::platform {

Result<void> FakeOrchestrator::launch(LaunchSpec spec) {
  if (!refusal_.empty()) return fail(ErrorCode::kFailedPrecondition, "{}", refusal_);
  const auto existing = instances_.find(spec.id);
  if (existing != instances_.end() && existing->second.state != InstanceState::kStopped)
    return fail(ErrorCode::kFailedPrecondition, "an instance of this id is there already; stop it first: {}", spec.id);
  instances_[spec.id] = Observed{spec.id, InstanceState::kStarting, next_pid_++, 0, ""};
  if (auto_ready_) change(spec.id, InstanceState::kReady, "");
  launched_.push_back(std::move(spec));
  return {};
}

Result<void> FakeOrchestrator::stop(const InstanceId& id) {
  const auto it = instances_.find(id);
  if (it == instances_.end() || it->second.state == InstanceState::kStopped) return fail(ErrorCode::kNotFound, "no such instance: {}", id);
  it->second.state = InstanceState::kDraining;
  stopped_.push_back(id);
  change(id, InstanceState::kStopped, "");
  return {};
}

std::vector<Observed> FakeOrchestrator::observe() const {
  std::vector<Observed> all;
  for (const auto& [id, observed] : instances_) all.push_back(observed);
  return all;
}

void FakeOrchestrator::left_running(LaunchSpec spec, InstanceState state) {
  const Observed seen{spec.id, state, next_pid_++, 0, ""};
  left_.push_back({std::move(spec), seen});
}

std::vector<Recovered> FakeOrchestrator::recover() {
  for (const Recovered& one : left_) instances_[one.spec.id] = one.seen;
  return std::exchange(left_, {});
}

void FakeOrchestrator::restart(const InstanceId& id) {
  instances_[id].restarts++;
  change(id, InstanceState::kStarting, "");
  if (auto_ready_) change(id, InstanceState::kReady, "");
}

void FakeOrchestrator::change(const InstanceId& id, InstanceState state, const std::string& error) {
  loop_.post([this, alive = std::weak_ptr<int>(alive_), id, state, error] {
    if (alive.expired()) return;
    Observed& observed = instances_[id];
    observed.state = state;
    if (!error.empty()) observed.last_error = error;
    const Observed copy = observed;
    if (on_change_) on_change_(copy);
  });
}

}  // namespace flexpert::platform
