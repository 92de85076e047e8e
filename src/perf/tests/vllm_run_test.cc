// A real run of vLLM 0.19.0 (data/profiles/vllm-run): 300 requests at 10/s on one GPU, which saturate its batch of 128.
#include <cmath>
#include <fstream>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "engine_simulation.h"
#include "perf/engine_fit.h"

namespace flexpert::perf {
namespace {

const EngineLimits kLimits{128, 2048, 600'000};

std::vector<std::vector<double>> rows_of(const std::string& name) {
  std::ifstream file(FLEXPERT_SOURCE_DIR "/data/profiles/vllm-run/" + name);
  std::vector<std::vector<double>> rows;
  std::string line, cell;
  std::getline(file, line);
  while (std::getline(file, line)) {
    std::istringstream cells(line);
    rows.emplace_back();
    while (std::getline(cells, cell, ',')) rows.back().push_back(std::stod(cell));
  }
  return rows;
}

std::vector<SimulatedRequest> real_requests() {
  std::vector<SimulatedRequest> requests;
  for (const auto& row : rows_of("requests.csv")) requests.push_back({row[0], row[1], row[2], row[3], row[4]});
  return requests;
}

/// What the steps of each second were like, from the server's own counters and the requests in it.
std::vector<StepSample> real_steps(const std::vector<SimulatedRequest>& requests) {
  std::vector<StepSample> steps;
  for (const auto& row : rows_of("timeseries.csv")) {
    const double at = row[0] - 0.5, prompts_per_s = row[1], tokens_per_s = row[2];
    StepSample step;
    for (const SimulatedRequest& r : requests) {
      if (r.first_token > at || r.last_token < at || r.osl < 2) continue;
      step.decode_batch += 1;
      step.kv_tokens_read += r.isl + r.osl * (at - r.first_token) / (r.last_token - r.first_token);
    }
    if (tokens_per_s < 50 || step.decode_batch < 1) continue;
    step.seconds = step.decode_batch / tokens_per_s;
    step.new_tokens = prompts_per_s * step.seconds;
    steps.push_back(step);
  }
  return steps;
}

double off(double value, double reference) { return std::fabs(value / reference - 1); }

TEST(VllmRun, StepTimesAreLinearInTheirWork) {
  const std::vector<StepSample> steps = real_steps(real_requests());
  ASSERT_GT(steps.size(), 50U);
  std::vector<StepSample> known, fresh;
  for (std::size_t i = 0; i < steps.size(); ++i) (i % 2 == 0 ? known : fresh).push_back(steps[i]);
  const auto fit = fit_steps(known);
  ASSERT_TRUE(fit.has_value());
  const FitError error = fit_error(EngineModel(*fit, kLimits), fresh);
  EXPECT_LT(error.median, 0.09) << "on the seconds that it was not fitted to";
  EXPECT_LT(error.p90, 0.2);
}

TEST(VllmRun, TheFittedEngineTakesAsLong) {
  std::vector<SimulatedRequest> requests = real_requests();
  const auto fit = fit_steps(real_steps(requests));
  ASSERT_TRUE(fit.has_value());
  const auto summary = [](const std::vector<SimulatedRequest>& all) {
    double ttft = 0, itl = 0, counted = 0;
    for (const SimulatedRequest& r : all) {
      ttft += r.ttft() / static_cast<double>(all.size());
      if (r.osl < 2) continue;
      itl += r.itl();
      counted += 1;
    }
    return std::array{ttft, itl / counted, all.back().last_token};
  };
  const auto real = summary(requests);
  simulate(*fit, kLimits, EngineRole::kAggregated, requests);
  const auto simulated = summary(requests);
  EXPECT_LT(off(simulated[0], real[0]), 0.05) << "mean TTFT " << simulated[0] << " against " << real[0];
  EXPECT_LT(off(simulated[1], real[1]), 0.03) << "mean ITL " << simulated[1] << " against " << real[1];
}

TEST(VllmRun, SaturationIsWhatTheFullServerReached) {
  const std::vector<SimulatedRequest> requests = real_requests();
  const auto fit = fit_steps(real_steps(requests));
  ASSERT_TRUE(fit.has_value());
  double isl = 0, osl = 0, osl_squared = 0, tokens = 0, seconds = 0;
  for (const SimulatedRequest& r : requests) {
    isl += r.isl / 300;
    osl += r.osl / 300;
    osl_squared += r.osl * r.osl / 300;
  }
  for (const auto& row : rows_of("timeseries.csv")) {
    if (row[3] < 126) continue;  // running: the batch is full
    tokens += row[2];
    seconds += 1;
  }
  ASSERT_GT(seconds, 20);
  const double spread = osl_squared / (osl * osl) - 1;
  const double saturation = EngineModel(*fit, kLimits).saturation({isl, osl, 1, spread}, EngineRole::kAggregated) * osl;
  EXPECT_LT(off(saturation, tokens / seconds), 0.08) << saturation << " tokens/s against " << tokens / seconds;
}

}  // namespace
}  // namespace flexpert::perf
