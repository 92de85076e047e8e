#include <array>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <boost/json.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "codec/classic_profile_files.h"
#include "codec/gzip.h"
#include "figures.h"
#include "perf/classic_profile.h"
#include "scaling/classic_plan.h"

namespace flexpert::bench {
namespace {

constexpr double kPrefillTolerance = 1e-9;
constexpr double kDecodeTolerance = 1e-3;
constexpr int kMostListed = 10;

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(ErrorCode::kNotFound, "cannot be read, give the folder data as argument: {}", path);
  return std::string((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
}

double number(const boost::json::object& object, const char* key) { return object.at(key).to_number<double>(); }
double off(double value, double reference) { return std::fabs(value - reference) / std::fabs(reference); }

/// Counts cases within a tolerance, and names those that are not.
struct Tally {
  int cases = 0;
  int within = 0;
  double worst = 0;

  void take(double error, double tolerance, const std::string& name) {
    ++cases;
    worst = std::max(worst, error);
    if (error <= tolerance) {
      ++within;
    } else if (cases - within <= kMostListed) {
      fmt::print("differs by {:.3g}: {}\n", error, name);
    }
  }
  [[nodiscard]] double percent() const { return cases == 0 ? 0 : 100.0 * within / cases; }
};

void check_prefill(const boost::json::object& golden, const perf::ClassicProfile& profile, Figures& figures) {
  Tally tally;
  for (const auto& entry : golden.at("prefill").as_array()) {
    const auto& one = entry.as_object();
    const double isl = number(one, "isl");
    tally.take(off(profile.ttft_s(isl), number(one, "ttft_s")), kPrefillTolerance, fmt::format("TTFT at ISL {}", isl));
    tally.take(off(profile.prefill_throughput_per_gpu(isl), number(one, "thpt_per_gpu")), kPrefillTolerance,
               fmt::format("prefill throughput at ISL {}", isl));
  }
  figures.note("prefill lookups", tally.cases, "cases");
  figures.hold("prefill, worst relative error", tally.worst, "", "<= 1e-9", tally.worst <= kPrefillTolerance && tally.cases > 0);
}

void check_decode(const boost::json::object& golden, const perf::ClassicProfile& profile, Figures& figures) {
  Tally tally;
  for (const auto& entry : golden.at("decode_itl").as_array()) {
    const auto& one = entry.as_object();
    const double concurrency = number(one, "concurrency"), context = number(one, "context");
    tally.take(off(profile.itl_s(concurrency, context), number(one, "itl_s")), kDecodeTolerance,
               fmt::format("ITL at {} x {}", concurrency, context));
  }
  for (const auto& entry : golden.at("decode_best").as_array()) {
    const auto& one = entry.as_object();
    const double itl = number(one, "itl_s"), context = number(one, "context");
    const perf::DecodeOperatingPoint best = profile.best_decode(itl, context);
    const std::string name = fmt::format("best throughput under {} s at {}", itl, context);
    tally.take(off(best.throughput_per_gpu, number(one, "thpt_per_gpu")), kDecodeTolerance, name);
    tally.take(off(best.itl_s, number(one, "achieved_itl_s")), kDecodeTolerance, name + ", its ITL");
    tally.take(std::fabs(best.kv_usage - number(one, "kv_usage")), 1e-12, name + ", its KV use");
  }
  figures.note("decode lookups", tally.cases, "cases");
  figures.note("decode lookups, worst relative error", tally.worst, "");
  figures.hold("decode lookups within 0.1 %", tally.percent(), "%", ">= 99", tally.percent() >= 99);
}

void check_plans(const boost::json::object& golden, const perf::ClassicProfile& profile, Figures& figures) {
  Tally before_budget, after_budget;
  int overshoots = 0, ours_over = 0, plans_seen = -1;
  std::map<std::string, std::vector<int>> over;
  for (const auto& entry : golden.at("plans").as_array()) {
    const auto& one = entry.as_object();
    ++plans_seen;
    const auto count = [&](const char* key) { return static_cast<std::uint32_t>(one.at(key).to_number<std::uint32_t>()); };
    scaling::ClassicPlanOptions options;
    options.itl_s = number(one, "itl_s");
    options.interval_s = number(one, "interval_s");
    options.gpus_per_prefill = count("prefill_gpus");
    options.gpus_per_decode = count("decode_gpus");
    options.min_prefill = options.min_decode = count("min_endpoint");
    options.gpu_budget = count("budget");
    const scaling::ClassicPlan plan =
        classic_plan(profile, {number(one, "num_req"), number(one, "isl"), number(one, "osl")},
                     {number(one, "p_corr"), number(one, "d_corr")}, options);
    const std::string name = boost::json::serialize(entry);
    const bool same_before = plan.wanted_prefill == count("raw_p") && plan.wanted_decode == count("raw_d");
    before_budget.take(same_before ? 0 : 1, 0, name);
    const std::uint32_t gpus = plan.prefill * options.gpus_per_prefill + plan.decode * options.gpus_per_decode;
    if (gpus > *options.gpu_budget) ++ours_over;
    if (one.at("over_budget").as_bool()) {
      ++overshoots;
      const std::string line =
          fmt::format("the reference exceeds {} GPUs with {} x {} + {} x {}; ours: {} and {}{}", *options.gpu_budget, count("num_p"),
                      options.gpus_per_prefill, count("num_d"), options.gpus_per_decode, plan.prefill, plan.decode,
                      plan.minima_fit ? "" : " (the minima do not fit)");
      over[line].push_back(plans_seen);
    } else {
      after_budget.take(plan.prefill == count("num_p") && plan.decode == count("num_d") ? 0 : 1, 0, name);
    }
  }
  for (const auto& [line, indices] : over) fmt::print("{}: {} plans, indices {}\n", line, indices.size(), fmt::join(indices, " "));
  figures.hold("plans before the budget that are equal", before_budget.within, fmt::format("of {}", before_budget.cases), "all",
               before_budget.within == before_budget.cases && before_budget.cases > 0);
  figures.hold("plans within the budget that are equal", after_budget.within, fmt::format("of {}", after_budget.cases), "all",
               after_budget.within == after_budget.cases && after_budget.cases > 0);
  figures.note("plans where the reference exceeds the budget (listed above)", overshoots, "plans");
  figures.hold("plans of ours that exceed the budget", ours_over, "plans", "0", ours_over == 0);
}

Result<void> measure(const std::string& folder, Figures& figures) {
  FLEXPERT_ASSIGN(const std::string prefill, read_file(folder + "/profiles/dynamo/H200_TP1P_TP1D.prefill.raw_data.npz"));
  FLEXPERT_ASSIGN(const std::string decode, read_file(folder + "/profiles/dynamo/H200_TP1P_TP1D.decode.raw_data.npz"));
  FLEXPERT_ASSIGN(const std::string packed, read_file(folder + "/golden/golden_planner_v051.json.gz"));
  FLEXPERT_ASSIGN(const std::string text, codec::gunzip(packed, 64U << 20));
  FLEXPERT_ASSIGN(ClassicSamples samples, codec::parse_dynamo_profile(prefill, decode));
  FLEXPERT_ASSIGN(const auto profile, perf::ClassicProfile::create(std::move(samples)));
  try {
    const boost::json::value parsed = boost::json::parse(text);
    const auto& golden = parsed.as_object();
    check_prefill(golden, *profile, figures);
    check_decode(golden, *profile, figures);
    check_plans(golden, *profile, figures);
  } catch (const std::exception& e) {
    return fail(ErrorCode::kDataLoss, "golden_planner_v051.json.gz: {}", e.what());
  }
  return {};
}

}  // namespace
}  // namespace flexpert::bench

int main(int argc, char** argv) {
  return flexpert::bench::run_folder_measurement(
      argc, argv, "planner-golden",
      "lookups and plans of the classic SLA planner against the reference's formulas with scipy, on one profile",
      flexpert::bench::measure);
}
