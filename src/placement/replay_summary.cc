#include <algorithm>

#include "placement/replay.h"

namespace flexpert::placement {
namespace {

void close(ReplayTopic& topic, std::uint32_t steady) {
  topic.balancedness /= topic.windows;
  topic.steady = steady > 0 ? topic.steady / steady : 0;
  if (topic.recovered_after == 0) topic.recovered_after = topic.windows + 1;
}

std::vector<ReplayTopic> topics_of(const ReplayReport& report, double goal) {
  std::vector<ReplayTopic> topics;
  std::uint32_t steady = 0;
  for (std::uint32_t i = 0; i < report.windows.size(); ++i) {
    const ReplayWindow& window = report.windows[i];
    if (window.topic_changed) {
      if (!topics.empty()) close(topics.back(), steady);
      topics.push_back({.topic = window.topic, .first = i});
      steady = 0;
    }
    ReplayTopic& topic = topics.back();
    ++topic.windows;
    topic.balancedness += window.balancedness;
    if (window.steady) {
      topic.steady += window.balancedness;
      ++steady;
    }
    if (topic.recovered_after == 0 && window.balancedness >= goal) topic.recovered_after = topic.windows;
  }
  if (!topics.empty()) close(topics.back(), steady);
  return topics;
}

}  // namespace

ReplaySummary summary_of(const ReplayReport& report, double goal) {
  ReplaySummary summary;
  summary.topics = topics_of(report, goal);
  std::uint32_t below = 0;
  for (const ReplayWindow& window : report.windows) {
    summary.moves += window.moves;
    summary.replan_moves += window.replan_moves;
    below = window.balancedness < window.none ? below + 1 : 0;
    summary.below_none = std::max(summary.below_none, below);
    if (!window.steady) continue;
    ++summary.steady_windows;
    summary.steady += window.balancedness;
    summary.steady_steps += window.ours_by.steps;
    summary.steady_ideal += window.ideal;
    summary.steady_none += window.none;
    summary.steady_replanned += window.replanned;
    summary.steady_replanned_steps += window.replanned_by.steps;
    summary.least_steady = std::min(summary.least_steady, window.balancedness);
  }
  if (summary.steady_windows == 0) return summary;
  for (double* mean : {&summary.steady, &summary.steady_steps, &summary.steady_ideal, &summary.steady_none, &summary.steady_replanned,
                       &summary.steady_replanned_steps})
    *mean /= summary.steady_windows;
  return summary;
}

}  // namespace flexpert::placement
