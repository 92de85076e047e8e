#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/state_text.h"
#include "scaling/pool_config.h"

namespace flexpert::controller {

/// The limits in force: the configuration's, or what an admin has changed since. A change is made as a whole or not at all.
class PoolLimitsBook {
 public:
  explicit PoolLimitsBook(const scaling::PlannerConfig& config);

  [[nodiscard]] const PoolLimits& of(std::size_t pool) const { return limits_[pool]; }
  [[nodiscard]] std::optional<std::uint32_t> gpu_budget() const { return budget_; }

  /// Takes {"min":1,"max":8,"manual":3}: what is left out stays, `"manual":null` gives the pool back to its policies.
  /// Errors: kInvalidArgument or kFailedPrecondition, beginning with the field ("max: ...").
  Result<void> change_limits(std::size_t pool, std::string_view json);
  /// Takes {"gpus":8}, or {"gpus":null} for no budget. Errors: likewise.
  Result<void> change_budget(std::string_view json);

  /// Writes what differs from the configuration.
  void save(StateWriter& writer) const;
  /// Takes changes that still fit the configuration; others are dropped, and their pools are returned ("gpus" for the budget).
  std::vector<std::string> restore(StateReader& reader);

 private:
  [[nodiscard]] Result<void> fits(const std::vector<PoolLimits>& limits, std::optional<std::uint32_t> budget) const;

  const scaling::PlannerConfig& config_;
  std::vector<PoolLimits> limits_;
  std::optional<std::uint32_t> budget_;
};

}  // namespace flexpert::controller
