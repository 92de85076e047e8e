#include <algorithm>
#include <optional>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "flexpert/place.h"
#include "flexpert/place_json.h"
#include "flexpert/place_screen.h"
#include "flexpert/place_source.h"
#include "flexpert/place_trace.h"
#include "placement/replay.h"
#include "report/placement_tables.h"

namespace flexpert::app {

namespace {

namespace json = boost::json;
using report::balancedness_text;

Result<placement::ReplayOptions> replay_options(const PlaceOptions& o, const RoutingTrace& trace) {
  placement::ReplayOptions options;
  options.devices = o.cluster.devices.value_or(8);
  options.slots_per_device = o.cluster.slots.value_or((trace.geometry.experts + options.devices - 1) / options.devices + 1);
  options.window_tokens = o.window_tokens;
  options.concurrent = o.concurrent;
  FLEXPERT_ASSIGN(options.dispatch, placement::parse_dispatch_policy(o.dispatch));
  if (static_cast<std::uint64_t>(options.devices) * options.slots_per_device < trace.geometry.experts)
    return fail(ErrorCode::kInvalidArgument, "--devices {} with --slots {} hold fewer than the {} experts of a layer; give more slots",
                options.devices, options.slots_per_device, trace.geometry.experts);
  return options;
}

constexpr double kGoal = 0.88;  // to be back at after a change of topic

/// From a change of topic to the next. The first window of all is left out: nothing was known before it.
struct TopicFigures {
  std::string topic;
  std::uint32_t windows = 0;
  std::uint32_t counted = 0;
  std::optional<std::uint32_t> recovered_after;  ///< windows; none: not by its end
  double ours = 0, ideal = 0, replanned = 0, none = 0;
  std::uint64_t moves = 0, replan_moves = 0;
};

std::vector<TopicFigures> topics_of(const placement::ReplayReport& report, const placement::ReplaySummary& summary) {
  std::vector<TopicFigures> topics;
  for (const placement::ReplayTopic& run : summary.topics) {
    TopicFigures topic;
    topic.topic = run.topic;
    topic.windows = run.windows;
    if (run.recovered_after <= run.windows) topic.recovered_after = run.recovered_after;
    for (std::uint32_t i = std::max(1U, run.first); i < run.first + run.windows; ++i) {
      const placement::ReplayWindow& window = report.windows[i];
      ++topic.counted;
      topic.ours += window.balancedness;
      topic.ideal += window.ideal;
      topic.replanned += window.replanned;
      topic.none += window.none;
      topic.moves += window.moves;
      topic.replan_moves += window.replan_moves;
    }
    if (topic.counted > 0)
      for (double* sum : {&topic.ours, &topic.ideal, &topic.replanned, &topic.none}) *sum /= topic.counted;
    topics.push_back(std::move(topic));
  }
  return topics;
}

/// The topic with the least mean; null if no window but the first was played.
const TopicFigures* least_topic(const std::vector<TopicFigures>& topics) {
  const TopicFigures* least = nullptr;
  for (const TopicFigures& topic : topics)
    if (topic.counted > 0 && (least == nullptr || topic.ours < least->ours)) least = &topic;
  return least;
}

/// How the changes of topic went; the beginning is none.
struct Changes {
  std::uint32_t changes = 0;
  std::uint32_t recovered = 0;
  std::uint32_t slowest = 0;  ///< windows, of those that recovered
};

Changes changes_of(const std::vector<TopicFigures>& topics) {
  Changes out;
  for (std::size_t i = 1; i < topics.size(); ++i) {
    ++out.changes;
    if (!topics[i].recovered_after) continue;
    ++out.recovered;
    out.slowest = std::max(out.slowest, *topics[i].recovered_after);
  }
  return out;
}

double move_share(const placement::ReplaySummary& summary) {
  return summary.replan_moves == 0 ? 0 : static_cast<double>(summary.moves) / static_cast<double>(summary.replan_moves);
}

report::Table windows_table(const placement::ReplayReport& report, std::size_t most) {
  using report::Align;
  report::Table table({{"window", Align::kRight},
                       {"topic"},
                       {""},
                       {"ours", Align::kRight},
                       {"ideal", Align::kRight},
                       {"re-planned", Align::kRight},
                       {"none", Align::kRight},
                       {"moves", Align::kRight},
                       {"re-plan moves", Align::kRight},
                       {"decision"}});
  const std::size_t first = report.windows.size() - std::min(most, report.windows.size());
  for (std::size_t i = first; i < report.windows.size(); ++i) {
    const placement::ReplayWindow& window = report.windows[i];
    table.add_row({std::to_string(i), window.topic, window.topic_changed ? "new" : "", balancedness_text(window.balancedness),
                   balancedness_text(window.ideal), balancedness_text(window.replanned), balancedness_text(window.none),
                   report::grouped(window.moves), report::grouped(window.replan_moves), window.decision});
  }
  return table;
}

report::Table topics_table(const std::vector<TopicFigures>& topics) {
  using report::Align;
  report::Table table({{"topic"},
                       {"windows", Align::kRight},
                       {"ours", Align::kRight},
                       {"ideal", Align::kRight},
                       {"re-planned", Align::kRight},
                       {"none", Align::kRight},
                       {"back at 0.88 after", Align::kRight},
                       {"moves", Align::kRight},
                       {"re-plan moves", Align::kRight}});
  for (const TopicFigures& topic : topics) {
    const auto mean = [&](double value) { return topic.counted > 0 ? balancedness_text(value) : std::string("-"); };
    table.add_row({topic.topic, std::to_string(topic.windows), mean(topic.ours), mean(topic.ideal), mean(topic.replanned), mean(topic.none),
                   topic.recovered_after ? std::to_string(*topic.recovered_after) : "-", report::grouped(topic.moves),
                   report::grouped(topic.replan_moves)});
  }
  return table;
}

void print_replay(const RoutingTrace& trace, const placement::ReplayOptions& options, const placement::ReplayReport& report,
                  std::uint32_t rows) {
  const placement::ReplaySummary summary = placement::summary_of(report, kGoal);
  const std::vector<TopicFigures> topics = topics_of(report, summary);
  const Changes changes = changes_of(topics);
  say("{} tokens of {} requests, {} layers x {} experts, top {}; {} GPUs with {} slots, windows of {} tokens, {} requests at once, "
      "dispatch {}\n",
      report::grouped(trace.tokens()), report::grouped(trace.requests.size()), trace.geometry.layers, trace.geometry.experts, trace.top_k,
      options.devices, options.slots_per_device, options.window_tokens, options.concurrent, placement::name_of(options.dispatch));
  if (rows > 0) {
    print_title(rows < report.windows.size() ? fmt::format("The newest {} of {} windows (--rows N shows more)", rows, report.windows.size())
                                             : "Windows");
    print_table(windows_table(report, rows));
  }
  print_title("Topics: balancedness, mean of their windows without the first of all");
  print_table(topics_table(topics));
  print_title("Together");
  say("steady windows: {}, balancedness ours {}, ideal split {}, re-planned every window {}, none {}\n", summary.steady_windows,
      balancedness_text(summary.steady), balancedness_text(summary.steady_ideal), balancedness_text(summary.steady_replanned),
      balancedness_text(summary.steady_none));
  say("worst steady window: {}\n", balancedness_text(summary.least_steady));
  if (const TopicFigures* least = least_topic(topics)) say("worst topic's mean: {} ({})\n", balancedness_text(least->ours), least->topic);
  say("changes of topic: {}, {} of them back at {}, after {} windows at the slowest\n", changes.changes, changes.recovered, kGoal,
      changes.slowest);
  say("moves: {} slots, {} of the {} of re-planning every window\n", report::grouped(summary.moves),
      report::percent_text(move_share(summary)), report::grouped(summary.replan_moves));
  say("longest run of windows below no balancing: {}\n", summary.below_none);
}

void print_replay_json(const placement::ReplayReport& report) {
  const placement::ReplaySummary summary = placement::summary_of(report, kGoal);
  const std::vector<TopicFigures> topics = topics_of(report, summary);
  const Changes changes = changes_of(topics);
  json::object out;
  out["steady"] = {{"windows", summary.steady_windows},     {"ours", summary.steady},      {"ideal", summary.steady_ideal},
                   {"replanned", summary.steady_replanned}, {"none", summary.steady_none}, {"worst", summary.least_steady}};
  if (const TopicFigures* least = least_topic(topics)) out["worst_topic"] = least->ours;
  out["changes"] = {{"topics", changes.changes}, {"recovered", changes.recovered}, {"slowest_windows", changes.slowest}, {"goal", kGoal}};
  out["moves"] = summary.moves;
  out["replan_moves"] = summary.replan_moves;
  out["move_share"] = move_share(summary);
  out["longest_run_below_none"] = summary.below_none;
  json::array& topic_list = out["topics"].emplace_array();
  for (const TopicFigures& topic : topics)
    topic_list.push_back({{"topic", json::string(topic.topic.data(), topic.topic.size())},
                          {"windows", topic.windows},
                          {"counted", topic.counted},
                          {"ours", topic.ours},
                          {"ideal", topic.ideal},
                          {"replanned", topic.replanned},
                          {"none", topic.none},
                          {"moves", topic.moves},
                          {"replan_moves", topic.replan_moves},
                          {"recovered_after", topic.recovered_after ? json::value(*topic.recovered_after) : json::value(nullptr)}});
  json::array& windows = out["windows"].emplace_array();
  for (const placement::ReplayWindow& window : report.windows)
    windows.push_back({{"topic", json::string(window.topic.data(), window.topic.size())},
                       {"tokens", window.tokens},
                       {"topic_changed", window.topic_changed},
                       {"ours", window.balancedness},
                       {"ideal", window.ideal},
                       {"replanned", window.replanned},
                       {"none", window.none},
                       {"moves", window.moves},
                       {"replan_moves", window.replan_moves},
                       {"decision", json::string(window.decision.data(), window.decision.size())}});
  print_json(out);
}

/// A cell of CSV; what a spreadsheet could take for a formula is quoted as text.
std::string cell(const std::string& text) {
  std::string out = "\"";
  if (!text.empty() && std::string_view("=+-@").find(text.front()) != std::string_view::npos) out += '\'';
  for (const char c : text) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + '"';
}

std::string windows_csv(const placement::ReplayReport& report) {
  std::string text = "window,topic,tokens,topic_changed,steady,ours,ideal,replanned,none,moves,replan_moves,decision\n";
  for (std::size_t i = 0; i < report.windows.size(); ++i) {
    const placement::ReplayWindow& w = report.windows[i];
    text += fmt::format("{},{},{},{:d},{:d},{:.6f},{:.6f},{:.6f},{:.6f},{},{},{}\n", i, cell(w.topic), w.tokens, w.topic_changed, w.steady,
                        w.balancedness, w.ideal, w.replanned, w.none, w.moves, w.replan_moves, cell(w.decision));
  }
  return text;
}

Result<void> replay(const PlaceOptions& o) {
  FLEXPERT_ASSIGN(const PlaceBytes input, read_place_bytes(o.counts));
  FLEXPERT_ASSIGN(const RoutingTrace trace, read_trace(input, o));
  FLEXPERT_ASSIGN(const placement::ReplayOptions options, replay_options(o, trace));
  FLEXPERT_ASSIGN(const placement::ReplayReport report, placement::replay(trace, options));
  if (!o.output.empty()) FLEXPERT_TRY(write_place_bytes(o.output, windows_csv(report)));
  if (o.json) {
    print_replay_json(report);
  } else if (o.output != "-") {
    print_replay(trace, options, report, o.rows);
    if (!o.output.empty()) say("windows: {}\n", o.output);
  }
  return {};
}

}  // namespace

int run_place_replay(const PlaceOptions& options) {
  if (options.json && options.output == "-")
    return fail_with("place replay", "--json and -o - both write to stdout: give one of them", kExitUsage);
  if (auto replayed = replay(options); !replayed) return fail_with("place replay", replayed.error());
  return kExitOk;
}

}  // namespace flexpert::app
