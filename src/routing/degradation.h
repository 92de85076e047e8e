#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace flexpert::routing {

enum class DegradationKind : std::uint8_t {
  kCapMaxTokens,     ///< answers are cut to so many tokens
  kCache,            ///< answers come from the cache even when they are past their time
  kSmallerModel,     ///< requests go to a named smaller model
  kDropLowPriority,  ///< requests of the least important class are refused
  kShed,             ///< requests that would have to wait are refused, but for the most important class
};

/// Returns the name that the configuration and the header use.
std::string_view name_of(DegradationKind kind);
/// The opposite. Errors: kInvalidArgument that names the kinds there are.
Result<DegradationKind> degradation_kind(std::string_view name);

struct DegradationStep {
  DegradationKind kind = DegradationKind::kShed;
  double enter = 0.8;                ///< saturation from which it holds
  double leave = 0.7;                ///< and below which it ends
  Duration hold = Seconds(5);        ///< at least so long
  std::uint64_t max_tokens = 0;      ///< with kCapMaxTokens
  std::vector<std::pair<std::string, std::string>> models{};  ///< with kSmallerModel: from, to
};

/// What is given up under overload, step by step. A step holds from the update at which saturation reaches its `enter` (and all
/// before it hold) until an update at which saturation is below its `leave`, its `hold` is over, and all behind it have ended.
/// Time that goes backwards counts as standing still; a saturation that is not a number changes nothing. Pure; one thread.
class DegradationLadder {
 public:
  DegradationLadder() = default;
  /// Errors: kInvalidArgument that names the step (from 1) and the field: `leave` above `enter`, an `enter` below the one of the
  /// step before, a cap of 0, no models, a model led to itself.
  static Result<DegradationLadder> make(std::vector<DegradationStep> steps);

  /// Takes a measurement in; returns whether the level changed.
  bool update(double saturation, TimePoint now);
  /// How many steps hold: the first so many.
  [[nodiscard]] std::size_t level() const { return level_; }
  [[nodiscard]] const std::vector<DegradationStep>& steps() const { return steps_; }
  [[nodiscard]] bool holds(DegradationKind kind) const { return (held_ & bit(kind)) != 0; }
  /// The cap of kCapMaxTokens: the smallest of those that hold; 0 = none.
  [[nodiscard]] std::uint64_t cap_max_tokens() const { return cap_; }
  /// Where requests for `model` go now; empty: there. The last step that names it decides.
  [[nodiscard]] std::string_view smaller_model(std::string_view model) const;
  /// When an update at the saturation seen last would end a step; TimePoint::max() if none would.
  [[nodiscard]] TimePoint next_change() const;

 private:
  static constexpr std::uint8_t bit(DegradationKind kind) { return static_cast<std::uint8_t>(1U << static_cast<unsigned>(kind)); }
  void note_level();

  std::vector<DegradationStep> steps_;
  std::vector<TimePoint> entered_;  ///< of the steps that hold
  std::size_t level_ = 0;
  std::uint8_t held_ = 0;
  std::uint64_t cap_ = 0;
  double saturation_ = 0;
  TimePoint latest_{};
};

/// Returns the value of X-Flexpert-Degraded: the steps that changed something for one request; empty if none did. Static text.
std::string_view degraded_header(bool capped, bool from_cache, bool smaller_model);

}  // namespace flexpert::routing
