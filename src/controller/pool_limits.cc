#include "controller/pool_limits.h"

#include <boost/json.hpp>

namespace flexpert::controller {
namespace {

namespace json = boost::json;

constexpr std::uint32_t kMostInstances = 100000;

Result<json::object> parse(std::string_view text) {
  json::error_code error;
  json::value value = json::parse(json::string_view(text.data(), text.size()), error);
  if (error || !value.is_object()) return fail(ErrorCode::kInvalidArgument, "body: must be a JSON object");
  return std::move(value.get_object());
}

Result<std::uint32_t> count(std::string_view field, const json::value& value) {
  if (const std::int64_t* number = value.if_int64(); number != nullptr && *number >= 0 && *number <= kMostInstances)
    return static_cast<std::uint32_t>(*number);
  return fail(ErrorCode::kInvalidArgument, "{}: must be a whole number from 0 to {}", field, kMostInstances);
}

}  // namespace

PoolLimitsBook::PoolLimitsBook(const scaling::PlannerConfig& config) : config_(config), budget_(config.gpu_budget) {
  for (const scaling::PoolConfig& pool : config.pools) limits_.push_back(pool.limits);
}

Result<void> PoolLimitsBook::fits(const std::vector<PoolLimits>& limits, std::optional<std::uint32_t> budget) const {
  std::uint64_t least = 0;
  for (std::size_t i = 0; i < limits.size(); ++i) {
    const PoolLimits& one = limits[i];
    if (one.min > one.max) return fail(ErrorCode::kInvalidArgument, "max: must be at least min ({}) in {}: {}", one.min, config_.pools[i].id, one.max);
    if (one.manual && (*one.manual < one.min || *one.manual > one.max))
      return fail(ErrorCode::kInvalidArgument, "manual: must be from {} to {} in {}: {}", one.min, one.max, config_.pools[i].id, *one.manual);
    least += std::uint64_t{one.min} * config_.pools[i].gpus_per_instance;
  }
  if (budget && least > *budget)
    return fail(ErrorCode::kFailedPrecondition, "gpus: the pools' minima need {} GPUs, the budget is {}; lower a min or raise the budget", least, *budget);
  return {};
}

Result<void> PoolLimitsBook::change_limits(std::size_t pool, std::string_view text) {
  FLEXPERT_ASSIGN(const json::object object, parse(text));
  std::vector<PoolLimits> changed = limits_;
  PoolLimits& wish = changed[pool];
  if (object.empty()) return fail(ErrorCode::kInvalidArgument, "body: nothing to change; give min, max or manual");
  for (const auto& field : object) {
    const std::string_view name(field.key().data(), field.key().size());
    if (name == "manual" && field.value().is_null()) {
      wish.manual.reset();
    } else if (name == "min") {
      FLEXPERT_ASSIGN(wish.min, count(name, field.value()));
    } else if (name == "max") {
      FLEXPERT_ASSIGN(wish.max, count(name, field.value()));
    } else if (name == "manual") {
      FLEXPERT_ASSIGN(wish.manual, count(name, field.value()));
    } else {
      return fail(ErrorCode::kInvalidArgument, "{}: unknown field; there are min, max and manual", name.substr(0, 64));
    }
  }
  FLEXPERT_TRY(fits(changed, budget_));
  limits_ = std::move(changed);
  return {};
}

Result<void> PoolLimitsBook::change_budget(std::string_view text) {
  FLEXPERT_ASSIGN(const json::object object, parse(text));
  const json::value* gpus = object.if_contains("gpus");
  if (gpus == nullptr || object.size() != 1) return fail(ErrorCode::kInvalidArgument, "gpus: must be the one field: a number, or null for no budget");
  std::optional<std::uint32_t> wish;
  if (!gpus->is_null()) {
    FLEXPERT_ASSIGN(wish, count("gpus", *gpus));
  }
  FLEXPERT_TRY(fits(limits_, wish));
  budget_ = wish;
  return {};
}

void PoolLimitsBook::save(StateWriter& writer) const {
  writer.tag("pool-limits/1");
  writer.integer(budget_ == config_.gpu_budget ? 0 : 1);
  writer.integer(budget_ ? *budget_ : -1);
  std::vector<std::size_t> changed;
  for (std::size_t i = 0; i < limits_.size(); ++i)
    if (limits_[i] != config_.pools[i].limits) changed.push_back(i);
  writer.integer(static_cast<std::int64_t>(changed.size()));
  for (const std::size_t i : changed) {
    writer.text(config_.pools[i].id.value);
    writer.integer(limits_[i].min);
    writer.integer(limits_[i].max);
    writer.integer(limits_[i].manual ? *limits_[i].manual : -1);
  }
}

std::vector<std::string> PoolLimitsBook::restore(StateReader& reader) {
  std::vector<std::string> dropped;
  const auto optional_count = [&]() -> std::optional<std::uint32_t> {
    const std::int64_t value = reader.integer();
    return value < 0 ? std::nullopt : std::optional(static_cast<std::uint32_t>(value));
  };
  reader.tag("pool-limits/1");
  const bool budget_changed = reader.integer() != 0;
  const std::optional<std::uint32_t> budget = optional_count();
  std::vector<PoolLimits> limits = limits_;
  std::vector<std::string> names;
  const std::int64_t pools = reader.integer();
  for (std::int64_t i = 0; i < pools && reader.ok(); ++i) {
    names.push_back(reader.text());
    PoolLimits read;
    read.min = static_cast<std::uint32_t>(reader.integer());
    read.max = static_cast<std::uint32_t>(reader.integer());
    read.manual = optional_count();
    for (std::size_t known = 0; known < limits.size() && reader.ok(); ++known)
      if (config_.pools[known].id.value == names.back()) limits[known] = read;
  }
  if (!reader.ok()) return dropped;
  if (fits(limits, budget_changed ? budget : budget_)) {
    limits_ = std::move(limits);
    if (budget_changed) budget_ = budget;
    return dropped;
  }
  dropped = std::move(names);
  if (budget_changed) dropped.emplace_back("gpus");
  return dropped;
}

}  // namespace flexpert::controller
