#include "engine/serve/recording_routes.h"

#include <boost/json.hpp>
#include <gtest/gtest.h>

namespace flexpert::engine {
namespace {

Recording recorded(placement::RecorderMode mode) {
  placement::Recorder recorder({2, 4}, {.mode = mode});
  recorder.start();
  const std::vector<std::uint16_t> choices{0, 1, 0, 3};
  for (std::uint64_t step = 7; step < 9; ++step) {
    recorder.begin_step(step);
    recorder.add_layer(0, choices, 2);
    recorder.add_layer(1, choices, 2);
    recorder.end_step();
  }
  return {mode, true, recorder.steps_seen(), recorder.counts(), {recorder.steps().begin(), recorder.steps().end()}};
}

TEST(Recording, StatIsALogicalCountOfLayersAndExperts) {
  const auto dump = boost::json::parse(encode(recorded(placement::RecorderMode::kStat)));
  EXPECT_EQ(dump.at("mode"), "stat");
  EXPECT_EQ(dump.at("tokens").to_number<int>(), 4);
  EXPECT_EQ(dump.at("steps_seen").to_number<int>(), 2);
  ASSERT_EQ(dump.at("logical_count").as_array().size(), 2U);
  EXPECT_EQ(boost::json::serialize(dump.at("logical_count").at(1)), "[4,2,0,2]");
}

TEST(Recording, PerPassIsALogicalCountOfPasses) {
  const auto dump = boost::json::parse(encode(recorded(placement::RecorderMode::kPerPass)));
  ASSERT_EQ(dump.at("logical_count").as_array().size(), 2U);
  EXPECT_EQ(boost::json::serialize(dump.at("logical_count").at(0).at(1)), "[2,1,0,1]");
  EXPECT_EQ(dump.at("passes").at(1).at("step").to_number<int>(), 8);
}

TEST(Recording, PerTokenNamesTheExpertsOfEachToken) {
  const auto dump = boost::json::parse(encode(recorded(placement::RecorderMode::kPerToken)));
  const auto& pass = dump.at("passes").at(0);
  EXPECT_EQ(pass.at("tokens").to_number<int>(), 2);
  EXPECT_EQ(pass.at("top_k").to_number<int>(), 2);
  EXPECT_EQ(boost::json::serialize(pass.at("experts")), "[[0,1,0,3],[0,1,0,3]]");
}

}  // namespace
}  // namespace flexpert::engine
