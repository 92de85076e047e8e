#include "engine/serve/eplb_options.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace flexpert::engine {
namespace {

ModelConfig tiny() {
  ModelConfig model;
  model.num_layers = 3;
  model.num_experts = 4;
  model.experts_per_token = 2;
  model.mlp_only_layers = {0};
  return model;
}

EplbOptions on_two_servers() {
  EplbOptions options;
  options.servers = {"unix:/tmp/a", "127.0.0.1:7001"};
  options.names = {"a", "b"};
  return options;
}

std::string problem_of(const EplbOptions& options) {
  const auto checked = validate(options, tiny());
  return checked ? "" : checked.error().message;
}

std::string location_problem(const std::string& location) {
  EplbOptions options = on_two_servers();
  options.init_location = location;
  const auto layout = initial_layout(options, tiny());
  return layout ? "" : layout.error().message;
}

TEST(EplbOptions, EnablingWithoutServersSaysWhatToGive) {
  EplbOptions options;
  EXPECT_EQ(problem_of(options), "");
  options.rebalance = true;
  EXPECT_NE(problem_of(options).find("--expert-servers ADDRESS"), std::string::npos) << problem_of(options);
}

TEST(EplbOptions, SlotsMustDivideOverTheServersAndNoServerMayBeGivenTwice) {
  EplbOptions options = on_two_servers();
  EXPECT_EQ(problem_of(options), "");
  options.redundant_experts = 1;
  EXPECT_NE(problem_of(options).find("2 would"), std::string::npos) << problem_of(options);
  options.redundant_experts = 6;
  EXPECT_NE(problem_of(options).find("more than one replica"), std::string::npos) << problem_of(options);
  options = on_two_servers();
  options.servers[1] = options.servers[0];
  EXPECT_NE(problem_of(options).find("given twice"), std::string::npos);
  options.servers[1] = "nowhere";
  EXPECT_NE(problem_of(options), "");
}

TEST(EplbOptions, TheTrivialLayoutAsATableLeavesDenseLayersOut) {
  EplbOptions options = on_two_servers();
  options.redundant_experts = 2;
  const auto layout = initial_layout(options, tiny());
  ASSERT_TRUE(layout) << layout.error().message;
  const RoutingTable table = table_of(*layout, options, tiny(), 5);
  ASSERT_TRUE(validate(table));
  EXPECT_EQ(table.epoch, 5U);
  EXPECT_EQ(table.endpoints[1].address, "127.0.0.1:7001");
  for (std::uint32_t e = 0; e < 4; ++e) EXPECT_TRUE(table.replicas[e].empty());
  EXPECT_EQ(table.replicas[4], (std::vector<std::uint16_t>{0, 1})) << "slots 0, 1, 2 | 3, 0, 1";
  EXPECT_EQ(table.replicas[6], (std::vector<std::uint16_t>{0}));
}

TEST(EplbOptions, AnInitialLocationIsAMapOrCountsToPlanFrom) {
  EplbOptions options = on_two_servers();
  options.init_location = R"({"physical_to_logical_map": [[3,2,1,0],[0,2,1,3],[0,1,2,3]]})";
  const auto map = initial_layout(options, tiny());
  ASSERT_TRUE(map) << map.error().message;
  EXPECT_EQ(map->layer(0)[0], 3);
  options.init_location = R"({"logical_count": [[1,1,1,1],[9,1,9,1],[9,9,1,1]]})";
  for (const EplbAlgorithm algorithm : {EplbAlgorithm::kExact, EplbAlgorithm::kIncremental}) {
    options.algorithm = algorithm;
    const auto planned = initial_layout(options, tiny());
    ASSERT_TRUE(planned) << planned.error().message;
    const auto layer = planned->layer(1);
    EXPECT_NE(layer[0] % 2, layer[1] % 2) << "a busy and a quiet one on each server";
  }
}

TEST(EplbOptions, AWrongLocationIsRefusedWithItsReason) {
  EXPECT_NE(location_problem("/no/such/file.json").find("--init-expert-location"), std::string::npos);
  EXPECT_NE(location_problem("{").find("--init-expert-location"), std::string::npos);
  EXPECT_NE(location_problem(R"({"logical_count": [[1,1,1,1]]})").find("1 layers x 4 experts, the model has 3 x 4"), std::string::npos);
  EXPECT_NE(location_problem(R"({"physical_to_logical_map": [[0,1,2,3,0,1],[0,1,2,3,0,1],[0,1,2,3,0,1]]})").find("6 slots"), std::string::npos);
}

TEST(EplbOptions, AlgorithmsHaveSglangsNamesToo) {
  EXPECT_EQ(*parse_eplb_algorithm("auto"), EplbAlgorithm::kIncremental);
  EXPECT_EQ(*parse_eplb_algorithm("deepseek"), EplbAlgorithm::kExact);
  EXPECT_EQ(*parse_eplb_algorithm("quality"), EplbAlgorithm::kQuality);
  EXPECT_FALSE(parse_eplb_algorithm("best"));
}

}  // namespace
}  // namespace flexpert::engine
