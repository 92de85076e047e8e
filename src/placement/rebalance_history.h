#pragma once

#include <cstdint>
#include <vector>

#include "fleet/expert_counts.h"
#include "placement/recorder.h"

namespace flexpert::placement {

struct HistoryOptions {
  std::uint32_t windows = 32;  ///< kept; at least 1
  double decay = 0.9;          ///< weight of a window against that of the one after it; (0, 1]
  double tolerance = 1.0;      ///< how much further than usual a window may be and still count; > 0
  std::uint32_t used = 12;     ///< windows at most that a plan is made for
  std::uint32_t parts = 16;    ///< of a window that a plan is made for, if it has full weight; the newest gives twice as many
};

/// A window that the next ones may be like, and how much it counts.
struct WeightedWindow {
  const RecordedWindow* window = nullptr;  ///< never null
  double weight = 1;                       ///< > 0
};

/// Windows of load, and which of them the next ones will be like: those near the newest one, late or long ago. After a
/// change of load the windows before it stop counting by themselves, and when a load comes back its old windows count again.
class LoadHistory {
 public:
  explicit LoadHistory(HistoryOptions options) : options_(options) {}

  /// Adds a window. When there are too many, the one that is most like its successor is forgotten, so that loads that were
  /// seen once stay. Older windows keep `parts` of their parts.
  void add(RecordedWindow window);
  /// Returns the windows that the next one is expected to be like, newest first, with weights: 1 for the newest, less with
  /// age, distance to the newest and few tokens. `usual`: the ratio to chance of windows of one load. Valid until add().
  [[nodiscard]] std::vector<WeightedWindow> expected(double usual) const;
  [[nodiscard]] bool empty() const { return windows_.empty(); }
  [[nodiscard]] const RecordedWindow& newest() const { return windows_.back().load; }

 private:
  struct Window {
    RecordedWindow load;
    double to_next = 0;  // distance to its successor
  };
  void forget();

  HistoryOptions options_;
  std::vector<Window> windows_;  // oldest first
};

/// Returns the weighted mean of the windows' shares, scaled to the size of the first. Precondition: a window or more.
ExpertCounts mean_load(const std::vector<WeightedWindow>& windows);

/// Returns short loads that stand for the windows: of each so many parts as its weight says (at least one), `parts` at
/// weight 1 and twice as many of the first. A window without parts stands for itself, up to four times.
std::vector<ExpertCounts> samples_of(const std::vector<WeightedWindow>& windows, std::uint32_t parts);

}  // namespace flexpert::placement
