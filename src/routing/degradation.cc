#include "routing/degradation.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace flexpert::routing {
namespace {

constexpr std::array<std::pair<DegradationKind, std::string_view>, 5> kNames = {{{DegradationKind::kCapMaxTokens, "cap_max_tokens"},
                                                                                {DegradationKind::kCache, "cache"},
                                                                                {DegradationKind::kSmallerModel, "smaller_model"},
                                                                                {DegradationKind::kDropLowPriority, "drop_low_priority"},
                                                                                {DegradationKind::kShed, "shed"}}};

Result<void> check_step(const DegradationStep& step) {
  if (!std::isfinite(step.enter) || step.enter <= 0) return fail(ErrorCode::kInvalidArgument, "enter: must be a number above 0, as 0.8");
  if (!std::isfinite(step.leave) || step.leave < 0 || step.leave > step.enter)
    return fail(ErrorCode::kInvalidArgument, "leave: must be between 0 and enter ({}); below it, or the step flickers", step.enter);
  if (step.hold < Duration::zero()) return fail(ErrorCode::kInvalidArgument, "hold_s: must be 0 or more");
  if (step.kind == DegradationKind::kCapMaxTokens && step.max_tokens == 0)
    return fail(ErrorCode::kInvalidArgument, "max_tokens: must be given, at least 1, with cap_max_tokens");
  if (step.kind != DegradationKind::kSmallerModel) return {};
  if (step.models.empty()) return fail(ErrorCode::kInvalidArgument, "models: must name at least one model and the smaller one");
  for (const auto& [from, to] : step.models)
    if (from.empty() || to.empty() || from == to)
      return fail(ErrorCode::kInvalidArgument, "models: must lead from one model to another: \"{}\" leads to \"{}\"", from, to);
  return {};
}

}  // namespace

std::string_view name_of(DegradationKind kind) { return kNames[static_cast<std::size_t>(kind)].second; }

Result<DegradationKind> degradation_kind(std::string_view name) {
  for (const auto& [kind, known] : kNames)
    if (known == name) return kind;
  return fail(ErrorCode::kInvalidArgument,
              "no such step: \"{}\"; there are cap_max_tokens, cache, smaller_model, drop_low_priority and shed", name);
}

Result<DegradationLadder> DegradationLadder::make(std::vector<DegradationStep> steps) {
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (const auto good = check_step(steps[i]); !good) return fail(good.error().with_context(fmt::format("step {}", i + 1)));
    if (i > 0 && steps[i].enter < steps[i - 1].enter)
      return fail(ErrorCode::kInvalidArgument, "step {}: enter: must not be below that of the step before ({}): steps go by severity",
                  i + 1, steps[i - 1].enter);
  }
  DegradationLadder ladder;
  ladder.entered_.resize(steps.size());
  ladder.steps_ = std::move(steps);
  return ladder;
}

bool DegradationLadder::update(double saturation, TimePoint now) {
  if (std::isnan(saturation)) return false;
  latest_ = std::max(latest_, now);
  saturation_ = saturation;
  const std::size_t before = level_;
  while (level_ < steps_.size() && saturation >= steps_[level_].enter) entered_[level_++] = latest_;
  while (level_ > 0 && saturation < steps_[level_ - 1].leave && latest_ - entered_[level_ - 1] >= steps_[level_ - 1].hold) --level_;
  if (level_ != before) note_level();
  return level_ != before;
}

void DegradationLadder::note_level() {
  held_ = 0;
  cap_ = 0;
  for (std::size_t i = 0; i < level_; ++i) {
    held_ |= bit(steps_[i].kind);
    if (steps_[i].kind == DegradationKind::kCapMaxTokens) cap_ = cap_ == 0 ? steps_[i].max_tokens : std::min(cap_, steps_[i].max_tokens);
  }
}

std::string_view DegradationLadder::smaller_model(std::string_view model) const {
  if (!holds(DegradationKind::kSmallerModel)) return {};
  for (std::size_t i = level_; i-- > 0;)
    for (const auto& [from, to] : steps_[i].models)
      if (from == model) return to;
  return {};
}

TimePoint DegradationLadder::next_change() const {
  if (level_ == 0 || saturation_ >= steps_[level_ - 1].leave) return TimePoint::max();
  return entered_[level_ - 1] + steps_[level_ - 1].hold;
}

std::string_view degraded_header(bool capped, bool from_cache, bool smaller_model) {
  static constexpr std::array<std::string_view, 8> kValues = {"",
                                                              "cap_max_tokens",
                                                              "cache",
                                                              "cap_max_tokens, cache",
                                                              "smaller_model",
                                                              "cap_max_tokens, smaller_model",
                                                              "cache, smaller_model",
                                                              "cap_max_tokens, cache, smaller_model"};
  return kValues[(capped ? 1U : 0U) | (from_cache ? 2U : 0U) | (smaller_model ? 4U : 0U)];
}

}  // namespace flexpert::routing
