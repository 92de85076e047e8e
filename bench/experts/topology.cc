// Tokens are byte-identical in-process and on 1, 2 and 4 expert servers, over Unix sockets and TCP.

#include "engine_rig.h"
#include "expert_fleet.h"
#include "figures.h"

namespace flexpert::bench {
namespace {

constexpr Duration kDeadline = Seconds(120);

std::vector<Job> jobs_of(const std::vector<GoldenPrompt>& prompts) {
  std::vector<Job> jobs;
  for (const float temperature : {0.0F, 0.8F})
    for (std::size_t i = 0; i < prompts.size(); ++i)
      jobs.push_back({.prompt = prompts[i].ids, .max_tokens = 64, .temperature = temperature, .seed = 1000 + i});
  return jobs;
}

/// Runs all jobs alone and in a batch of 16; returns how many of the outputs equal the reference (which the first call makes).
Result<std::size_t> compare(EngineRig& rig, const std::vector<GoldenPrompt>& prompts, std::vector<Job>& reference) {
  std::vector<Job> alone = jobs_of(prompts);
  FLEXPERT_TRY(rig.run(alone, 1, kDeadline));
  if (reference.empty()) reference = alone;
  std::vector<Job> together = jobs_of(prompts);
  FLEXPERT_TRY(rig.run(together, 16, kDeadline));
  return count_identical(alone, reference) + count_identical(together, reference);
}

Result<void> measure(const std::string& program, const std::string& model, Figures& figures) {
  FLEXPERT_ASSIGN(const auto prompts, load_golden_prompts(model));
  const ScratchFolder folder;
  const std::string pack = folder.file("pack");
  FLEXPERT_ASSIGN(const auto checkpoint, engine::Checkpoint::open(model));
  FLEXPERT_TRY(engine::write_pack(*checkpoint, pack, {}));
  net::EventLoop loop;
  std::vector<Job> reference;
  const std::size_t wanted = 4 * prompts.size();
  const auto hold = [&](const std::string& name, std::size_t same) {
    figures.hold(name, static_cast<double>(same), "outputs", fmt::format("{}", wanted), same == wanted);
  };
  for (const std::uint32_t threads : {1U, 2U}) {
    FLEXPERT_ASSIGN(auto rig, EngineRig::start(loop, model, pack, {.threads = threads}));
    FLEXPERT_ASSIGN(const std::size_t same, compare(*rig, prompts, reference));
    hold(fmt::format("in_process.threads_{}", threads), same);
  }
  std::size_t golden = 0;
  for (std::size_t i = 0; i < prompts.size(); ++i)
    if (reference[i].tokens == prompts[i].greedy) ++golden;
  figures.hold("greedy_as_golden", static_cast<double>(golden), "prompts", fmt::format("{}", prompts.size()), golden == prompts.size());
  double remote_rows = 0;
  double fallback_rows = 0;
  for (const bool tcp : {false, true}) {
    for (const std::size_t servers : {1U, 2U, 4U}) {
      for (const std::uint32_t threads : {1U, 2U}) {
        ExpertFleet fleet(loop, {.program = program, .pack = pack, .folder = folder.file(""), .threads = threads});
        for (std::size_t i = 0; i < servers; ++i) fleet.add(tcp);
        FLEXPERT_TRY(fleet.start_all_and_wait());
        FLEXPERT_ASSIGN(auto rig, EngineRig::start(loop, model, pack, {.threads = threads, .remote = true}));
        FLEXPERT_TRY(rig->connect(fleet.full_table(rig->geometry(), 1)));
        FLEXPERT_ASSIGN(const std::size_t same, compare(*rig, prompts, reference));
        hold(fmt::format("{}.servers_{}.threads_{}", tcp ? "tcp" : "unix", servers, threads), same);
        remote_rows += rig->metric("flexpert_remote_experts_rows_total");
        fallback_rows += rig->metric("flexpert_remote_experts_fallback_rows_total");
        fallback_rows += rig->metric("flexpert_remote_experts_local_rows_total");
      }
    }
  }
  figures.hold("rows_not_computed_by_servers", fallback_rows, "rows", fmt::format("0 of {:.0f}", remote_rows),
               fallback_rows == 0 && remote_rows > 0);
  return {};
}

}  // namespace
}  // namespace flexpert::bench

int main(int argc, char** argv) {
  return flexpert::bench::run_measurement(
      argc, argv, "topology",
      "24 golden prompts of 64 tokens, at temperature 0 and at 0.8 with fixed seeds, each alone and in a batch of 16 (96 "
      "outputs); tokens and text compared with the in-process engine of 1 thread, alone",
      flexpert::bench::measure);
}
