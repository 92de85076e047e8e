// How many redundant slots an uneven layout saves at the balancedness of a uniform one, on real expert loads.
#include <algorithm>

#include <fmt/format.h>

#include "figures.h"
#include "placement/sizing.h"
#include "real_loads.h"

namespace flexpert::bench {
namespace {

constexpr double kGoals[] = {0.95, 0.98, 0.99};
constexpr double kBar = 30;

double saved_percent(std::uint64_t uneven, std::uint64_t uniform) {
  return uniform == 0 ? 0 : 100 * (1 - static_cast<double>(uneven) / static_cast<double>(uniform));
}

/// The largest savings seen, and where.
struct Best {
  double saved = 0;
  std::string where = "nowhere";

  void consider(double percent, const std::string& name) {
    if (percent > saved) saved = percent, where = name;
  }
};

Result<void> measure(const std::string& folder, Figures& figures) {
  std::vector<RealLoad> loads;
  FLEXPERT_TRY(read_real_loads(folder + "/deepseek-v2-lite-counts.json.gz", "deepseek-v2-lite", loads));
  FLEXPERT_TRY(read_real_loads(folder + "/gpt-oss-20b-domains.json", "gpt-oss-20b", loads));
  Best best_any;
  Best best_engine;
  std::vector<double> all_any;
  std::vector<double> all_engine;
  for (const RealLoad& load : loads)
    for (const std::uint32_t devices : {8U, 16U, 32U}) {
      if (devices >= load.counts.geometry.experts) continue;  // a device would have one expert, or none
      std::uint64_t before = 0;
      for (const double goal : kGoals) {
        // First what the uniform layouts are for the goal, then the uneven one for what these reach, not for the goal.
        FLEXPERT_ASSIGN(const placement::Sizing first, placement::size_slots(load.counts, devices, 1, {goal, 0}));
        if (!first.reached || first.uniform_any_slots == before) continue;  // needs none, or what the goal before needs
        before = first.uniform_any_slots;
        const std::string name = fmt::format("{}.on_{}.{}", load.name, devices, goal);
        const auto saving = [&](double reached, std::uint64_t uniform) -> Result<double> {
          FLEXPERT_ASSIGN(const placement::Sizing uneven, placement::size_slots(load.counts, devices, 1, {reached, 0}));
          // As the same planner refines more for a higher goal, "reached" is what counts, on both sides.
          return uneven.reached && uneven.balancedness >= reached * (1 - 1e-9) ? saved_percent(uneven.redundant_slots, uniform) : 0.0;
        };
        FLEXPERT_ASSIGN(const double any, saving(first.uniform_any_balancedness, first.uniform_any_slots));
        FLEXPERT_ASSIGN(const double engine, saving(first.uniform_balancedness, first.uniform_slots));
        figures.note(name + ".saved_of_uniform", any,
                     fmt::format("% ({} slots of {} a layer, balancedness {:.4f})", first.uniform_any_slots, first.uniform_any_redundant,
                                 first.uniform_any_balancedness));
        figures.note(name + ".saved_of_divisible", engine,
                     fmt::format("% ({} slots of {} a layer, balancedness {:.4f})", first.uniform_slots, first.uniform_redundant,
                                 first.uniform_balancedness));
        best_any.consider(any, name);
        best_engine.consider(engine, name);
        all_any.push_back(any);
        all_engine.push_back(engine);
      }
    }
  figures.note("median_saved_of_uniform", quantile(all_any, 0.5), "%");
  figures.note("median_saved_of_divisible", quantile(all_engine, 0.5), "%");
  const auto at_bar = [](const std::vector<double>& all) {
    return static_cast<double>(std::count_if(all.begin(), all.end(), [](double x) { return x >= kBar; }));
  };
  figures.note("sizings", static_cast<double>(all_any.size()), "loads x devices x goals");
  figures.note("sizings_with_30_saved_of_uniform", at_bar(all_any), "");
  figures.note("sizings_with_30_saved_of_divisible", at_bar(all_engine), "");
  figures.hold("best_saved_of_uniform", best_any.saved, "% of redundant slots, " + best_any.where, fmt::format(">={}", kBar),
               best_any.saved >= kBar);
  figures.hold("best_saved_of_divisible", best_engine.saved, "% of redundant slots, " + best_engine.where, fmt::format(">={}", kBar),
               best_engine.saved >= kBar);
  return {};
}

}  // namespace
}  // namespace flexpert::bench

int main(int argc, char** argv) {
  using namespace flexpert;
  using namespace flexpert::bench;
  return run_folder_measurement(
      argc, argv, "placement-sizing",
      "size_slots() on DeepSeek-V2-Lite counts of four tasks and gpt-oss-20b counts of 32 topics; for each load, devices "
      "and goal: the smallest uniform layout that reaches the goal (any number of slots; and slots that divide by devices, "
      "as engines demand), then the uneven layout that reaches what that uniform one reaches; the same planner for all",
      measure);
}
