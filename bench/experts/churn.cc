// Replicas come and go under load without a failed or changed request, and a warm expert server serves its first
// batch soon after the decision.
#include <algorithm>

#include "base/rng.h"
#include "engine_rig.h"
#include "expert_fleet.h"
#include "figures.h"
#include "seeded_layers.h"

namespace flexpert::bench {
namespace {

constexpr std::size_t kChanges = 200;
constexpr std::size_t kRequests = 200;
constexpr std::uint32_t kTokens = 48;
constexpr std::size_t kServers = 4;
constexpr int kFirstBatches = 9;
constexpr double kWarmBarMs = 20;
constexpr Duration kDeadline = Seconds(400);

/// Adds or removes one replica at a time; slots keep zero to four replicas.
class Churn {
 public:
  Churn(EngineRig& rig, RoutingTable table) : rig_(rig), table_(std::move(table)) {}

  void on_progress(std::uint64_t tokens) {
    const std::uint64_t total = kRequests * kTokens;
    const auto due = std::min<std::size_t>(kChanges, tokens * kChanges * 100 / (total * 95));
    for (; changes_ < due; ++changes_) change_one();
  }
  [[nodiscard]] std::size_t changes() const { return changes_; }
  [[nodiscard]] std::size_t additions() const { return additions_; }
  [[nodiscard]] std::uint64_t epoch() const { return table_.epoch; }

 private:
  void change_one() {
    auto& replicas = table_.replicas[rng_.below(table_.replicas.size())];
    const auto server = static_cast<std::uint16_t>(rng_.below(table_.endpoints.size()));
    const auto found = std::ranges::find(replicas, server);
    if (found == replicas.end()) {
      replicas.push_back(server);
      ++additions_;
    } else {
      replicas.erase(found);
    }
    ++table_.epoch;
    rig_.set_table_soon(table_);
  }

  EngineRig& rig_;
  RoutingTable table_;
  Rng rng_{2026};
  std::size_t changes_ = 0;
  std::size_t additions_ = 0;
};

Result<void> measure_churn(const std::string& program, const std::string& model, Figures& figures) {
  FLEXPERT_ASSIGN(const auto prompts, load_golden_prompts(model));
  const ScratchFolder folder;
  const std::string pack = folder.file("pack");
  FLEXPERT_ASSIGN(const auto checkpoint, engine::Checkpoint::open(model));
  FLEXPERT_TRY(engine::write_pack(*checkpoint, pack, {}));
  net::EventLoop loop;
  ExpertFleet fleet(loop, {.program = program, .pack = pack, .folder = folder.file("")});
  for (std::size_t i = 0; i < kServers; ++i) fleet.add(i % 2 == 1);
  FLEXPERT_TRY(fleet.start_all_and_wait());

  std::vector<Job> steady = make_jobs(prompts, kRequests, kTokens);
  {
    FLEXPERT_ASSIGN(auto rig, EngineRig::start(loop, model, pack, {}));
    FLEXPERT_TRY(rig->run(steady, 16, kDeadline));
  }
  FLEXPERT_ASSIGN(auto rig, EngineRig::start(loop, model, pack, {.remote = true}));
  RoutingTable table = fleet.full_table(rig->geometry(), 1);
  for (std::size_t i = 0; i < table.replicas.size(); ++i) table.replicas[i] = {static_cast<std::uint16_t>(i % kServers)};
  FLEXPERT_TRY(rig->connect(table));
  Churn churn(*rig, table);
  std::vector<Job> churned = make_jobs(prompts, kRequests, kTokens);
  FLEXPERT_TRY(rig->run(churned, 16, kDeadline, [&](std::uint64_t tokens) { churn.on_progress(tokens); }));

  const std::size_t failed = count_failed(churned) + count_failed(steady);
  const std::size_t same = count_identical(steady, churned);
  figures.hold("changes", static_cast<double>(churn.changes()), "changes", fmt::format("{}", kChanges), churn.changes() == kChanges);
  const double epoch = rig->metric("flexpert_remote_experts_epoch");
  figures.hold("epoch_in_use", epoch, "epoch", fmt::format("{}", churn.epoch()),
               epoch == static_cast<double>(churn.epoch()) && rig->refused_tables() == 0);
  figures.hold("failed", static_cast<double>(failed), "requests", "0", failed == 0);
  figures.hold("identical", static_cast<double>(same), "outputs", fmt::format("{}", kRequests), same == kRequests);
  const double lost = rig->metric("flexpert_remote_experts_failures_total");
  figures.hold("connections_lost", lost, "connections", "0", lost == 0);
  figures.note("additions", static_cast<double>(churn.additions()), "changes");
  const auto gaps = token_gaps_ms(churned);
  figures.note("itl_p50", quantile(gaps, 0.5), "ms");
  figures.note("itl_p99", quantile(gaps, 0.99), "ms");
  return {};
}

/// From the decision to give a server a layer's experts until it has answered its first batch. A warm server runs with
/// the pack mapped and has served nothing; a cold one is started by the decision.
Result<double> first_batch_ms(net::EventLoop& loop, ExpertFleet& fleet, std::size_t server,
                              const std::shared_ptr<const engine::PackFile>& pack, bool cold, Rng& rng) {
  const SystemClock clock;
  telemetry::Registry metrics;
  engine::ComputePool pool(1);
  engine::RemoteExperts remote(pack, pool, {.model_fingerprint = pack->model_fingerprint()}, metrics, clock);
  MadeUpLayer layer(*pack, 0, 1, 8, rng);
  const TimePoint decided = clock.now();
  if (cold) {
    FLEXPERT_TRY(fleet.start(server));
    FLEXPERT_TRY(run_until(loop, [&] { return fleet.ready(server); }, Seconds(30), "an expert server to listen"));
  }
  RoutingTable table{.epoch = 1, .geometry = pack->geometry(), .endpoints = {fleet.endpoints()[server]}, .replicas = {}};
  table.replicas.assign(pack->geometry().size(), {0});
  FLEXPERT_TRY(remote.set_routing_table(std::make_shared<const RoutingTable>(std::move(table))));
  if (!remote.wait_connected(Seconds(10))) return fail(ErrorCode::kUnavailable, "an expert server could not be connected");
  layer.run_ms(remote, clock);
  const double ms = to_ms(clock.now() - decided);
  const std::string text = metrics.text();
  if (text.find("flexpert_remote_experts_rows_total 8") == std::string::npos)
    return fail(ErrorCode::kInternal, "the first batch was not computed by the server");
  return ms;
}

Result<void> measure_first_batch(const std::string& program, Figures& figures) {
  FLEXPERT_ASSIGN(const std::string path, seeded_pack_beside(program));
  FLEXPERT_ASSIGN(const auto pack, engine::PackFile::open(path));
  FLEXPERT_TRY(pack->verify());  // and so the file is in memory
  const ScratchFolder folder;
  net::EventLoop loop;
  Rng rng(3);
  std::vector<double> warm;
  std::vector<double> cold;
  for (int i = 0; i < kFirstBatches; ++i) {
    ExpertFleet fleet(loop, {.program = program, .pack = path, .folder = folder.file(""), .threads = 2});
    const std::size_t waiting = fleet.add(false);
    FLEXPERT_TRY(fleet.start_all_and_wait());
    const std::size_t started_late = fleet.add(false);
    FLEXPERT_ASSIGN(const double warm_ms, first_batch_ms(loop, fleet, waiting, pack, false, rng));
    warm.push_back(warm_ms);
    fleet.kill_9(waiting);
    FLEXPERT_TRY(run_until(loop, [&] { return !fleet.running(waiting); }, Seconds(10), "a killed server to end"));
    FLEXPERT_ASSIGN(const double cold_ms, first_batch_ms(loop, fleet, started_late, pack, true, rng));
    cold.push_back(cold_ms);
  }
  const double typical = quantile(warm, 0.5);
  figures.hold("warm_first_batch_p50", typical, "ms", fmt::format("<={:.0f}", kWarmBarMs), typical <= kWarmBarMs);
  figures.note("warm_first_batch_worst", quantile(warm, 1), "ms");
  figures.note("cold_first_batch_p50", quantile(cold, 0.5), "ms");
  figures.note("cold_first_batch_worst", quantile(cold, 1), "ms");
  return {};
}

Result<void> measure_all(const std::string& program, const std::string& model, Figures& figures) {
  FLEXPERT_TRY(measure_churn(program, model, figures));
  return measure_first_batch(program, figures);
}

}  // namespace
}  // namespace flexpert::bench

int main(int argc, char** argv) {
  return flexpert::bench::run_measurement(
      argc, argv, "churn",
      "200 requests of 48 tokens, 16 at a time, on 4 expert server processes while 200 replicas are added or removed one by one; "
      "compared with the in-process engine; then, on a seeded pack of Qwen3-30B-A3B layers in the page cache, 9 fresh server "
      "processes each warm and cold: from the decision (routing table set, or process started) to the answer of the first batch, "
      "one token's top-8 (75 MB of weights), 2 threads",
      flexpert::bench::measure_all);
}
