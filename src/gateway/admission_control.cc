#include "gateway/admission_control.h"

#include <utility>
#include <vector>

#include "gateway/admission_core.h"

namespace flexpert::gateway {
namespace {

/// The Admission itself: a handle to the core, which tickets may outlive it with.
class AdmissionControl final : public Admission {
 public:
  explicit AdmissionControl(std::unique_ptr<AdmissionCore> core) : core_(*core.release()) {}
  ~AdmissionControl() override { core_.close(); }
  AdmissionControl(const AdmissionControl&) = delete;
  AdmissionControl& operator=(const AdmissionControl&) = delete;

  std::variant<Outcome, std::unique_ptr<Waiting>> admit(const AdmissionRequest& request,
                                                        std::move_only_function<void(Outcome)> later) override {
    return core_.admit(request, std::move(later));
  }
  std::optional<Refusal> count(const Caller& caller) override { return core_.count(caller); }
  Degradation degradation(const Caller& caller, std::string_view model) override { return core_.degradation(caller, model); }
  void append_rate_limit_fields(std::string& field_lines, const Caller& caller) override {
    core_.append_rate_limit_fields(field_lines, caller);
  }
  void set_capacity(std::uint32_t requests) override { core_.set_capacity(requests); }
  void set_saturation(double upstream_saturation) override { core_.set_saturation(upstream_saturation); }
  [[nodiscard]] std::uint32_t in_flight() const override { return core_.in_flight(); }
  [[nodiscard]] std::uint32_t queued() const override { return core_.queued(); }

 private:
  AdmissionCore& core_;
};

}  // namespace

Result<routing::DegradationLadder> make_ladder(const std::vector<config::DegradationStepConfig>& steps) {
  std::vector<routing::DegradationStep> made;
  made.reserve(steps.size());
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const config::DegradationStepConfig& step = steps[i];
    const auto kind = routing::degradation_kind(step.kind);
    if (!kind) return fail(kind.error().with_context(fmt::format("step {}: kind", i + 1)));
    made.push_back({.kind = *kind,
                    .enter = step.enter,
                    .leave = step.leave,
                    .hold = from_seconds(step.hold_s),
                    .max_tokens = step.max_tokens,
                    .models = step.models});
  }
  return routing::DegradationLadder::make(std::move(made));
}

Result<std::unique_ptr<Admission>> make_admission(net::EventLoop& loop, const Clock& clock, const config::AdmissionConfig& config,
                                                  telemetry::Registry& registry) {
  auto ladder = make_ladder(config.degradation);
  if (!ladder) return fail(ladder.error().with_context("degradation"));
  return std::make_unique<AdmissionControl>(std::make_unique<AdmissionCore>(loop, clock, config, std::move(*ladder), registry));
}

}  // namespace flexpert::gateway
