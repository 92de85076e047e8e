#include "placement/step_cost.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <numeric>
#include <string>
#include <tuple>

#include <gtest/gtest.h>

#include "base/rng.h"

namespace flexpert::placement {
namespace {

using Key = std::tuple<std::uint32_t, double, std::string>;

/// (EP size, tokens of a device, routing) -> ms.
std::map<Key, double> read_csv(const std::string& phase) {
  std::ifstream file(std::string(FLEXPERT_SOURCE_DIR) + "/data/moe-cost/h200_sxm.moe.sglang.0.5.10.wideep_" + phase + "_moe_perf.csv");
  std::map<Key, double> out;
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line)) {
    std::vector<std::string> fields;
    std::size_t start = 0;
    for (std::size_t comma = 0; comma != std::string::npos; start = comma + 1)
      fields.push_back(line.substr(start, (comma = line.find(',', start)) - start));
    const auto ep = static_cast<std::uint32_t>(std::stoul(fields.at(12)));
    out[{ep, std::stod(fields.at(6)) / ep, fields.at(13)}] = std::stod(fields.at(14));
  }
  return out;
}

void expect_equal_rows(const std::vector<LayerLatency>& rows, const std::string& phase) {
  std::size_t even = 0;
  const auto measured = read_csv(phase);
  for (const auto& [key, ms] : measured) even += std::get<2>(key) == "uniform";
  EXPECT_EQ(rows.size(), even);
  EXPECT_GT(even, 50U);
  for (const LayerLatency& row : rows) {
    const auto it = measured.find({row.ep_size, row.tokens, "uniform"});
    ASSERT_NE(it, measured.end()) << row.ep_size << " " << row.tokens;
    EXPECT_DOUBLE_EQ(it->second, row.ms);
  }
}

TEST(StepCost, BuiltInNumbersAreThoseOfTheData) {
  expect_equal_rows(StepCost::deepseek_v3_decode_rows(), "generation");
  expect_equal_rows(StepCost::deepseek_v3_prefill_rows(), "context");
}

/// What the measured skewed rows were drawn from: 256 experts' loads by a power law between 1 and 0.8 of all tokens, dealt
/// to devices in order; the row is the busiest device's. Returns how many times the mean that one has.
double busiest_of_power_law(std::uint32_t ep_size, double tokens, double alpha, Rng& rng) {
  const bool few = tokens * 8 <= 256;
  const double low = std::pow(few ? 0.01 : 1, 1 - alpha);
  const double high = std::pow(few ? 2 : 0.8 * tokens, 1 - alpha);
  std::vector<double> load(ep_size, 0.0);
  for (std::uint32_t e = 0; e < 256; ++e) load[e * ep_size / 256] += std::pow((high - low) * rng.uniform() + low, 1 / (1 - alpha));
  return *std::max_element(load.begin(), load.end()) * ep_size / std::accumulate(load.begin(), load.end(), 0.0);
}

struct SkewErrors {
  std::vector<double> busiest;  ///< |log(predicted / measured)|, by the busiest device
  std::vector<double> even;     ///< as if the layer were even
};

SkewErrors skew_errors(const StepCost& cost, const std::string& phase, std::uint32_t least_ep, std::uint32_t most_ep) {
  SkewErrors out;
  Rng rng(9);
  for (const auto& [key, ms] : read_csv(phase)) {
    const auto& [ep, tokens, routing] = key;
    if (ep < least_ep || ep > most_ep || !routing.starts_with("power_law_")) continue;
    double predicted = 0;
    for (int sample = 0; sample < 20; ++sample)
      predicted += cost.layer_ms(ep, tokens, 1 / busiest_of_power_law(ep, tokens * ep, std::stod(routing.substr(10)), rng)) / 20;
    out.busiest.push_back(std::abs(std::log(predicted / ms)));
    out.even.push_back(std::abs(std::log(cost.layer_ms(ep, tokens, 1) / ms)));
  }
  return out;
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values.at(values.size() / 2);
}

TEST(StepCost, TheBusiestDeviceAsAnEvenLayerPredictsSkewedPrefill) {
  const SkewErrors errors = skew_errors(StepCost::deepseek_v3_prefill(), "context", 8, 64);
  ASSERT_GT(errors.busiest.size(), 150U);
  EXPECT_LT(median(errors.busiest), 0.17);
  EXPECT_GT(median(errors.even), 0.4) << "skew costs half as much again";
}

TEST(StepCost, TheBusiestDeviceAsAnEvenLayerPredictsSkewedDecode) {
  const SkewErrors errors = skew_errors(StepCost::deepseek_v3_decode(), "generation", 8, 64);
  ASSERT_GT(errors.busiest.size(), 120U);
  EXPECT_LT(median(errors.busiest), 0.12);
}

TEST(StepCost, ImbalanceIsFreeAtSmallBatchesAndCostsAtLarge) {
  const StepCost& decode = StepCost::deepseek_v3_decode();
  EXPECT_LT(decode.layer_ms(32, 8, 0.5) / decode.layer_ms(32, 8, 1), 1.05);
  const StepCost& prefill = StepCost::deepseek_v3_prefill();
  EXPECT_GT(prefill.layer_ms(32, 8192, 0.5) / prefill.layer_ms(32, 8192, 1), 1.7);
}

TEST(StepCost, GoesThroughItsRowsAndOnBeyondThem) {
  const auto cost = StepCost::from(std::vector<LayerLatency>{{8, 100, 1}, {8, 200, 1}, {8, 400, 2}, {64, 1, 5}, {64, 2, 5}});
  ASSERT_TRUE(cost);
  EXPECT_DOUBLE_EQ(cost->layer_ms(8, 200, 1), 1);
  EXPECT_NEAR(cost->layer_ms(8, 300, 1), 1.5, 1e-9) << "proportional between";
  EXPECT_NEAR(cost->layer_ms(8, 400, 0.5), 4, 1e-9) << "the last slope goes on";
  EXPECT_NEAR(cost->layer_ms(8, 10, 1), 1, 1e-9);
  EXPECT_NEAR(cost->layer_ms(20, 100, 1), 1, 1e-9) << "EP 20 is nearer to 8 than to 64";
  EXPECT_NEAR(cost->layer_ms(1000, 100, 1), 5, 1e-9);
  EXPECT_EQ(cost->layer_ms(8, 0, 1), 0);
}

TEST(StepCost, MoreTokensNeverCostLess) {
  const auto cost = StepCost::from(std::vector<LayerLatency>{{8, 400, 2}, {8, 100, 1.2}, {8, 200, 0.8}});
  ASSERT_TRUE(cost);
  EXPECT_NEAR(cost->layer_ms(8, 100, 1), 1, 1e-9) << "the mean of the two that contradict each other";
  double last = 0;
  for (double tokens = 10; tokens < 2000; tokens *= 1.1) {
    EXPECT_GE(cost->layer_ms(8, tokens, 1), last);
    last = cost->layer_ms(8, tokens, 1);
  }
}

TEST(StepCost, RowsThatMeanNothingAreErrors) {
  for (const std::vector<LayerLatency>& rows : {std::vector<LayerLatency>{},
                                                {{0, 1, 1}, {0, 2, 1}},
                                                {{8, 1, 1}},
                                                {{8, 1, 1}, {8, 1, 2}},
                                                {{8, 1, -1}, {8, 2, 1}},
                                                {{8, NAN, 1}, {8, 2, 1}}})
    EXPECT_FALSE(StepCost::from(rows));
}

}  // namespace
}  // namespace flexpert::placement
