// Rebalances of the quick start's fleet under load: no request fails or changes, only what was planned moves, and the
// metrics say what happened.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>
#include <sstream>

#include <fmt/format.h>

#include "codec/fleet_json.h"
#include "controller/table_balance.h"
#include "engine/expert/pack_file.h"
#include "engine/kernels/kernels.h"
#include "expert_fleet.h"
#include "figures.h"
#include "live_fleet.h"
#include "workload/prompt_set.h"

namespace flexpert::bench {
namespace {

namespace json = boost::json;

constexpr std::size_t kRebalances = 100;
constexpr std::size_t kMostAttempts = 600;
constexpr std::size_t kInFlight = 6;
constexpr std::size_t kPromptsOfATopic = 6;
constexpr const char* kTopics[] = {"code", "dialogue", "math", "prose"};
constexpr Duration kDeadline = Seconds(240);

Result<std::string> read_text(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  if (!file) return fail(ErrorCode::kNotFound, "cannot be read: {}", path);
  return text.str();
}

/// Returns the quick start's configuration on free ports, with rebalances only when they are asked for.
Result<std::string> first_fleet(const std::string& model) {
  FLEXPERT_ASSIGN(std::string text, read_text("examples/first-fleet.yaml"));
  const auto replace = [&text](const std::string& from, const std::string& to) -> Result<void> {
    const std::size_t at = text.find(from);
    if (at == std::string::npos) return fail(ErrorCode::kInternal, "examples/first-fleet.yaml has no {}", from);
    text.replace(at, from.size(), to);
    return {};
  };
  FLEXPERT_TRY(replace("127.0.0.1:9000", "127.0.0.1:0"));
  FLEXPERT_TRY(replace("127.0.0.1:9001", "127.0.0.1:0"));
  FLEXPERT_TRY(replace("models/flexpert-tiny-moe", model));
  FLEXPERT_TRY(replace("rebalance_interval_s: 30", "rebalance_interval_s: 0\n    drift: 0\n    smoothing: 1"));
  return text;
}

Result<std::vector<Chat>> make_chats(const std::string& model) {
  std::vector<Chat> chats;
  for (const char* topic : kTopics) {
    const std::string path = fmt::format("{}/prompts/{}.json", model, topic);
    FLEXPERT_ASSIGN(const std::string text, read_text(path));
    FLEXPERT_ASSIGN(const workload::PromptSet set, workload::parse_prompt_set(text, path));
    for (std::size_t i = 0; i < kPromptsOfATopic; ++i)
      chats.push_back({set.prompts[i % set.prompts.size()], i % 2 == 0 ? 0.0 : 0.8, i, 48});
  }
  return chats;
}

std::vector<std::size_t> chats_of_topic(std::size_t topic) {
  std::vector<std::size_t> numbers;
  for (std::size_t i = 0; i < kPromptsOfATopic; ++i) numbers.push_back(topic * kPromptsOfATopic + i);
  return numbers;
}

/// Returns the value of a series, or -1.
double series(const std::string& metrics, const std::string& name) {
  const std::size_t at = metrics.find("\n" + name + " ");
  return at == std::string::npos ? -1 : std::strtod(metrics.c_str() + at + name.size() + 2, nullptr);
}

std::vector<controller::ReplicaMove> moves_of(const json::value& report) {
  std::vector<controller::ReplicaMove> moves;
  const auto id = [](const json::value& value) { return InstanceId{value.is_string() ? std::string(value.as_string()) : std::string()}; };
  for (const json::value& move : report.at("moves").as_array())
    moves.push_back({{move.at("layer").to_number<std::uint32_t>(), move.at("expert").to_number<std::uint32_t>()}, id(move.at("from")), id(move.at("to"))});
  return moves;
}

/// Rows that servers computed of experts which `table` does not give them.
std::uint64_t rows_elsewhere(const RoutingTable& table, const std::map<InstanceId, std::map<ExpertSlot, std::uint64_t>>& before,
                             const std::map<InstanceId, std::map<ExpertSlot, std::uint64_t>>& after) {
  std::uint64_t elsewhere = 0;
  for (std::size_t e = 0; e < table.endpoints.size(); ++e) {
    const InstanceId& id = table.endpoints[e].id;
    for (const auto& [slot, rows] : after.at(id)) {
      const auto old = before.at(id).find(slot);
      const auto& holders = table.replicas[table.geometry.index(slot)];
      const bool given = std::find(holders.begin(), holders.end(), e) != holders.end();
      if (!given) elsewhere += rows - (old == before.at(id).end() ? 0 : old->second);
    }
  }
  return elsewhere;
}

struct Counts {
  std::size_t attempts = 0;
  std::size_t rebalances = 0;
  std::size_t idle = 0;           ///< made while nothing was streamed
  std::size_t compared = 0;
  std::size_t wrong_tables = 0;   ///< that are not what the move list says
  std::size_t slots = 0;
  std::uint64_t bytes = 0;
  std::size_t windows_checked = 0;
  std::uint64_t rows_elsewhere = 0;
  std::size_t not_better = 0;     ///< rebalances that expected no gain
  std::map<std::string, std::size_t> outcomes;
  std::vector<double> gains;
  std::vector<double> expected;
  std::vector<double> measured;
};

/// The measurement proper: rebalances of one fleet while chats of changing topics stream.
class LiveRun {
 public:
  LiveRun(net::EventLoop& loop, LiveFleet& fleet, ChatLoad& load, const std::vector<Chat>& chats, controller::ServerRows& asker)
      : loop_(loop), fleet_(fleet), load_(load), chats_(chats), asker_(asker) {}

  Result<void> run() {
    const SystemClock clock;
    const TimePoint end = clock.now() + kDeadline;
    for (std::size_t topic = 0; counts_.rebalances < kRebalances && counts_.attempts < kMostAttempts; topic = (topic + 1) % std::size(kTopics)) {
      if (clock.now() > end) break;
      load_.use(chats_, chats_of_topic(topic), false);
      const std::size_t enough = load_.ended() + kInFlight;
      FLEXPERT_ASSIGN(const RoutingTable table, fleet_.table_in_force());
      FLEXPERT_ASSIGN(const auto rows_before, fleet_.rows(table, asker_));
      FLEXPERT_TRY(run_until(loop_, [&] { return load_.ended() >= enough; }, Seconds(60), "answers"));
      FLEXPERT_ASSIGN(const auto rows_after, fleet_.rows(table, asker_));
      FLEXPERT_ASSIGN(const RoutingTable same, fleet_.table_in_force());
      if (same == table) {
        ++counts_.windows_checked;
        counts_.rows_elsewhere += rows_elsewhere(table, rows_before, rows_after);
      }
      FLEXPERT_TRY(note_figures());
      FLEXPERT_TRY(rebalance());
    }
    return {};
  }

  [[nodiscard]] const Counts& counts() const { return counts_; }

 private:
  /// Keeps what was expected of the placement in force beside what came; now and then, for it takes seconds to be measured.
  Result<void> note_figures() {
    if (counts_.attempts % 10 != 0 || counts_.rebalances == 0) return {};
    json::value view;
    FLEXPERT_TRY(run_until(
        loop_,
        [&] {
          view = fleet_.ask("GET", "/api/v1/placement").value_or(json::value(nullptr));
          return view.is_object() && !view.at("expected").is_null() && !view.at("measured").is_null();
        },
        Seconds(20), "a placement to be measured"));
    counts_.expected.push_back(view.at("expected").at("balancedness").to_number<double>());
    counts_.measured.push_back(view.at("measured").at("balancedness").to_number<double>());
    return {};
  }

  Result<void> rebalance() {
    ++counts_.attempts;
    FLEXPERT_ASSIGN(const json::value view, fleet_.ask("GET", "/api/v1/placement"));
    FLEXPERT_ASSIGN(const RoutingTable before, codec::decode_routing_table(json::serialize(view.at("routing"))));
    const std::size_t streaming = load_.under_way();
    FLEXPERT_ASSIGN(const json::value report, fleet_.ask("POST", "/api/v1/placement/rebalance"));
    if (report.as_object().contains("error")) {
      ++counts_.outcomes["busy"];
      return {};
    }
    const std::string outcome(report.at("outcome").as_string());
    ++counts_.outcomes[outcome];
    if (outcome != "moved") return {};
    const auto epoch = report.at("epoch").to_number<std::uint64_t>();
    const auto planned = moves_of(report);
    ++counts_.rebalances;
    counts_.slots += planned.size();
    counts_.bytes += report.at("bytes").to_number<std::uint64_t>();
    counts_.gains.push_back(report.at("gain").to_number<double>());
    if (!(counts_.gains.back() > 0)) ++counts_.not_better;
    if (streaming == 0) ++counts_.idle;
    RoutingTable after;
    FLEXPERT_TRY(run_until(
        loop_,
        [&] {
          const auto table = fleet_.table_in_force();
          if (table) after = *table;
          return table && table->epoch >= epoch;
        },
        Seconds(20), "a table to be in force"));
    // A table that scaling has made meanwhile lies on top of one of the two: then there is nothing to compare.
    if (before.epoch + 1 != epoch || after.epoch != epoch) return {};
    ++counts_.compared;
    if (controller::moves_between(before, after) != planned || before.endpoints != after.endpoints) ++counts_.wrong_tables;
    return {};
  }

  net::EventLoop& loop_;
  LiveFleet& fleet_;
  ChatLoad& load_;
  const std::vector<Chat>& chats_;
  controller::ServerRows& asker_;
  Counts counts_;
};

/// Answers of a fleet without rebalances, by chat.
Result<std::vector<std::string>> steady_answers(net::EventLoop& loop, const std::string& program, const std::string& config,
                                                const std::vector<Chat>& chats) {
  const ScratchFolder folder;
  FLEXPERT_ASSIGN(const auto fleet, LiveFleet::start(loop, program, folder.file(""), config));
  ChatLoad load(loop, fleet->gateway(), kInFlight);
  std::vector<std::size_t> all(chats.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  load.use(chats, all, true);
  FLEXPERT_TRY(run_until(loop, [&] { return load.ended() == chats.size(); }, Seconds(120), "the steady fleet's answers"));
  if (!load.problems().empty()) return fail(ErrorCode::kUnavailable, "the steady fleet: {}", load.problems()[0]);
  std::vector<std::string> answers(chats.size());
  for (const auto& [number, text] : load.answers()) answers[number] = text;
  FLEXPERT_TRY(fleet->stop());
  return answers;
}

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

void hold_metrics(const std::string& metrics, const Counts& counts, Figures& figures) {
  const double moved = series(metrics, R"(flexpert_placement_moved_slots_total{cause="balance"})");
  figures.hold("metric_moved_slots", moved, "slots", fmt::format("{}, as planned", counts.slots), moved == static_cast<double>(counts.slots));
  const double bytes = series(metrics, R"(flexpert_placement_moved_bytes_total{cause="balance"})");
  figures.hold("metric_moved_bytes", bytes, "bytes", fmt::format("{}, as planned", counts.bytes), bytes == static_cast<double>(counts.bytes) && bytes > 0);
  double outcomes = 0;
  bool same = true;
  for (const auto& [outcome, count] : counts.outcomes) {
    const double shown = series(metrics, fmt::format("flexpert_placement_rebalances_total{{outcome=\"{}\"}}", outcome));
    same = same && shown == static_cast<double>(count);
    outcomes += shown;
  }
  figures.hold("metric_outcomes", outcomes, "rebalances", fmt::format("{}, each outcome as answered", counts.attempts),
               same && outcomes == static_cast<double>(counts.attempts));
  const double durations = series(metrics, "flexpert_placement_rebalance_duration_seconds_count");
  figures.hold("metric_durations", durations, "samples", fmt::format("{}", counts.rebalances), durations == static_cast<double>(counts.rebalances));
  const double age = series(metrics, "flexpert_placement_plan_age_seconds");
  figures.hold("metric_plan_age", age, "s", "0 to 60", age >= 0 && age < 60);
  const double expected = series(metrics, "flexpert_placement_expected_balancedness");
  const double bound = series(metrics, "flexpert_placement_bound_balancedness");
  figures.hold("metric_expected", expected, "balancedness", fmt::format(">0, <={:.3f}, its bound", bound), expected > 0 && expected <= bound + 1e-9 && bound <= 1 + 1e-9);
  const double measured = series(metrics, "flexpert_placement_measured_balancedness");
  figures.hold("metric_measured", measured, "balancedness", ">0, <=1", measured > 0 && measured <= 1 + 1e-9);
  figures.note("rebalance_seconds_mean", series(metrics, "flexpert_placement_rebalance_duration_seconds_sum") / durations, "s");
  figures.note("plan_seconds_mean", series(metrics, "flexpert_placement_plan_seconds_sum") / series(metrics, "flexpert_placement_plan_seconds_count"), "s");
}

Result<void> measure_live(const std::string& program, const std::string& model, Figures& figures) {
  FLEXPERT_ASSIGN(const std::string config, first_fleet(model));
  FLEXPERT_ASSIGN(const std::vector<Chat> chats, make_chats(model));
  net::EventLoop loop;
  FLEXPERT_ASSIGN(const std::vector<std::string> steady, steady_answers(loop, program, config, chats));

  const ScratchFolder folder;
  const std::string pack_path = folder.file("pack");
  FLEXPERT_ASSIGN(const auto checkpoint, engine::Checkpoint::open(model));
  FLEXPERT_TRY(engine::write_pack(*checkpoint, pack_path, {}));
  FLEXPERT_ASSIGN(const auto pack, engine::PackFile::open(pack_path));
  controller::ServerRows asker(loop, {.model_fingerprint = pack->model_fingerprint(),
                                      .model_epoch = 0,
                                      .kernel_identity = engine::kernel_identity(),
                                      .hidden = pack->hidden_size(),
                                      .geometry = pack->geometry()});
  FLEXPERT_ASSIGN(const auto fleet, LiveFleet::start(loop, program, folder.file(""), config));
  ChatLoad load(loop, fleet->gateway(), kInFlight);
  LiveRun run(loop, *fleet, load, chats, asker);
  FLEXPERT_TRY(run.run());
  // The newest placement must have been in force for a while to be measured.
  std::string metrics;
  FLEXPERT_TRY(run_until(
      loop,
      [&] {
        metrics = fleet->metrics().value_or("");
        return series(metrics, "flexpert_placement_measured_balancedness") > 0;
      },
      Seconds(20), "the newest placement to be measured"));
  load.stop();
  FLEXPERT_TRY(run_until(loop, [&] { return load.under_way() == 0; }, Seconds(60), "the last answers"));
  FLEXPERT_ASSIGN(const json::value journal, fleet->ask("GET", "/api/v1/decisions?limit=1000"));

  const Counts& counts = run.counts();
  std::size_t other = 0;
  for (const auto& [number, text] : load.answers()) other += text != steady[number] || text.empty();
  std::size_t journalled = 0;
  std::size_t scalings = 0;
  for (const json::value& decision : journal.at("decisions").as_array()) {
    for (const json::value& action : decision.at("actions").as_array()) {
      if (action.at("kind") != "placement") continue;
      ++(action.at("reasons").at(0).at("code") == "rebalanced" ? journalled : scalings);
    }
  }
  figures.hold("rebalances", static_cast<double>(counts.rebalances), "that moved replicas", fmt::format("{}", kRebalances), counts.rebalances == kRebalances);
  figures.hold("while_streaming", static_cast<double>(counts.rebalances - counts.idle), "rebalances", fmt::format("{}", kRebalances),
               counts.rebalances - counts.idle == kRebalances);
  figures.hold("failed", static_cast<double>(load.problems().size()), "requests", "0", load.problems().empty() && load.ended() > 0);
  figures.hold("other_outputs", static_cast<double>(other), "answers", fmt::format("0 of {}", load.answers().size()), other == 0 && !load.answers().empty());
  figures.hold("wrong_tables", static_cast<double>(counts.wrong_tables), "tables", fmt::format("0 of {} compared", counts.compared),
               counts.wrong_tables == 0 && counts.compared >= kRebalances * 9 / 10);
  figures.hold("rows_elsewhere", static_cast<double>(counts.rows_elsewhere), "rows", fmt::format("0 in {} windows", counts.windows_checked),
               counts.rows_elsewhere == 0 && counts.windows_checked >= kRebalances / 2);
  figures.hold("no_gain_expected", static_cast<double>(counts.not_better), "rebalances", "0", counts.not_better == 0);
  figures.hold("journalled", static_cast<double>(journalled), "decisions", fmt::format("{}", counts.rebalances), journalled == counts.rebalances);
  hold_metrics(metrics, counts, figures);
  for (const auto& [outcome, count] : counts.outcomes) figures.note("outcome_" + outcome, static_cast<double>(count), "rebalances");
  figures.note("requests", static_cast<double>(load.ended()), "requests");
  figures.note("moved_slots", static_cast<double>(counts.slots), "slots");
  figures.note("tables_of_scaling", static_cast<double>(scalings), "tables");
  figures.note("gain_mean", mean(counts.gains), "balancedness");
  figures.note("measured_placements", static_cast<double>(counts.measured.size()), "placements");
  figures.note("expected_mean", mean(counts.expected), "balancedness");
  figures.note("measured_mean", mean(counts.measured), "balancedness");
  return fleet->stop();
}

}  // namespace
}  // namespace flexpert::bench

int main(int argc, char** argv) {
  return flexpert::bench::run_measurement(
      argc, argv, "placement-live",
      "flexpert up with examples/first-fleet.yaml, real processes; 6 chats stream at any time, topics change, and after every 6 answers "
      "a rebalance is asked for until 100 have moved replicas; answers are compared with a fleet without rebalances, tables with the move "
      "lists, rows that expert servers computed with the table in force",
      flexpert::bench::measure_live);
}
