// What it costs to have experts computed by a server instead of in this process, at equal threads.
#include <algorithm>
#include <thread>

#include "engine/expert/remote_experts.h"
#include "expert_fleet.h"
#include "figures.h"
#include "seeded_layers.h"

namespace flexpert::bench {
namespace {

constexpr double kBarPercent = 10;
constexpr double kBarGigabytesPerSecond = 10;

struct Times {
  std::vector<double> local_ms;
  std::vector<double> remote_ms;
};

/// Layers run by one side while the other runs those half a turn away: neither finds the weights in a cache that the
/// other has just filled.
constexpr std::size_t kRing = 16;

/// Runs the same layers by both, turn by turn, so that what disturbs the machine disturbs both.
Result<Times> interleave(const engine::PackFile& pack, engine::ExpertExecutor& local, engine::ExpertExecutor& remote, std::uint32_t rows,
                         std::uint32_t per_row, int rounds, Rng& rng) {
  const SystemClock clock;
  Times times;
  for (int round = 0; round < rounds; ++round) {
    std::vector<std::unique_ptr<MadeUpLayer>> ring;
    for (std::size_t i = 0; i < kRing; ++i)
      ring.push_back(std::make_unique<MadeUpLayer>(pack, static_cast<std::uint32_t>(i % pack.geometry().layers), rows, per_row, rng));
    std::vector<std::vector<float>> outputs(kRing);
    for (std::size_t i = 0; i < 2 * kRing; ++i) {
      // The first half turn of each round only fills the caches with what is not asked for next.
      const double local_ms = ring[i % kRing]->run_ms(local, clock);
      if (i < kRing) outputs[i] = ring[i]->outputs();
      MadeUpLayer& other = *ring[(i + kRing / 2) % kRing];
      const double remote_ms = other.run_ms(remote, clock);
      if (i >= kRing && other.outputs() != outputs[(i + kRing / 2) % kRing])
        return fail(ErrorCode::kInternal, "remote and in-process outputs differ");
      if (i < kRing / 2) continue;
      times.local_ms.push_back(local_ms);
      times.remote_ms.push_back(remote_ms);
    }
  }
  return times;
}

struct Subject {
  std::string name;
  std::string pack;
  std::uint32_t per_row = 0;
  int rounds = 0;
  bool barred = false;
};

Result<void> measure(const std::string& program, const Subject& subject, Figures& figures) {
  const ScratchFolder folder;
  const std::uint32_t threads = std::max(1U, std::thread::hardware_concurrency());
  FLEXPERT_ASSIGN(const auto pack, engine::PackFile::open(subject.pack));
  const SystemClock clock;
  telemetry::Registry metrics;
  net::EventLoop loop;
  ExpertFleet fleet(loop, {.program = program, .pack = subject.pack, .folder = folder.file(""), .threads = threads});
  fleet.add(false);
  FLEXPERT_TRY(fleet.start_all_and_wait());
  engine::ComputePool pool(threads);
  engine::LocalExperts local(pack, pool);
  engine::RemoteExperts remote(pack, pool, {.model_fingerprint = pack->model_fingerprint()}, metrics, clock);
  FLEXPERT_TRY(remote.set_routing_table(std::make_shared<const RoutingTable>(fleet.full_table(pack->geometry(), 1))));
  if (!remote.wait_connected(Seconds(10))) return fail(ErrorCode::kUnavailable, "the expert server could not be connected");
  Rng rng(7);
  // Every page is touched by both processes before anything is timed.
  for (std::uint32_t layer = 0; layer < pack->geometry().layers; ++layer) {
    MadeUpLayer all(*pack, layer, 1, pack->geometry().experts, rng);
    all.run_ms(local, clock);
    all.run_ms(remote, clock);
  }
  for (const std::uint32_t rows : {1U, 4U, 16U}) {
    FLEXPERT_ASSIGN(const Times times, interleave(*pack, local, remote, rows, subject.per_row, subject.rounds, rng));
    const std::string name = fmt::format("{}.batch_{}", subject.name, rows);
    const double here = quantile(times.local_ms, 0.5);
    const double there = quantile(times.remote_ms, 0.5);
    const double overhead = 100 * (there / here - 1);
    figures.note(name + ".in_process", here, "ms per layer");
    figures.note(name + ".remote", there, "ms per layer");
    if (subject.barred && rows == 16) {
      figures.hold(name + ".overhead", overhead, "%", fmt::format("<={:.0f}", kBarPercent), overhead <= kBarPercent);
    } else {
      figures.note(name + ".overhead", overhead, "%");
    }
    if (subject.barred && rows == 1) {
      const double speed = subject.per_row * expert_bytes(*pack) / (here * 1e-3) / 1e9;
      figures.hold(name + ".in_process_weights", speed, "GB/s", fmt::format(">={:.0f}", kBarGigabytesPerSecond),
                   speed >= kBarGigabytesPerSecond);
    }
  }
  return {};
}

Result<void> measure_all(const std::string& program, const std::string& model, Figures& figures) {
  const ScratchFolder folder;
  FLEXPERT_ASSIGN(const auto checkpoint, engine::Checkpoint::open(model));
  FLEXPERT_TRY(engine::write_pack(*checkpoint, folder.file("pack"), {}));
  const std::uint32_t per_row = checkpoint->config().experts_per_token;
  FLEXPERT_TRY(measure(program, {.name = "tiny", .pack = folder.file("pack"), .per_row = per_row, .rounds = 40}, figures));
  FLEXPERT_ASSIGN(const std::string seeded, seeded_pack_beside(program));
  return measure(program, {.name = "qwen3_30b_layer", .pack = seeded, .per_row = 8, .rounds = 3, .barred = true}, figures);
}

}  // namespace
}  // namespace flexpert::bench

int main(int argc, char** argv) {
  return flexpert::bench::run_measurement(
      argc, argv, "remote-expert-overhead",
      "one MoE layer with made-up routing, by one expert server process over a Unix socket and in this process, as many "
      "threads each as there are cores, turn by turn on the same layers, but never one right after the other on the same; "
      "medians; tiny: 960 layers, top-4 of 32, hidden 192; qwen3_30b_layer: 72 layers, top-8 of 128, hidden 2048, intermediate "
      "768, bf16, weights from memory",
      flexpert::bench::measure_all);
}
