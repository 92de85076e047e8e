#include "codec/vllm_expert_map.h"

#include <gtest/gtest.h>

namespace flexpert::codec {
namespace {

std::string error_of(std::string_view text, std::uint32_t layers = 0) {
  const auto map = parse_vllm_expert_map(text, layers);
  return map ? "no error" : map.error().message;
}

TEST(VllmExpertMap, ReadsOneRowForAllLayersOrARowForEach) {
  EXPECT_EQ(*parse_vllm_expert_map("[1,0,1]", 2), (SlotMap{2, 3, 0, {1, 0, 1, 1, 0, 1}}));
  EXPECT_EQ(*parse_vllm_expert_map("[1,0,1]"), (SlotMap{1, 3, 0, {1, 0, 1}}));
  EXPECT_EQ(*parse_vllm_expert_map("[[1,0,1],[0,1,0]]"), (SlotMap{2, 3, 0, {1, 0, 1, 0, 1, 0}}));
}

TEST(VllmExpertMap, ReadsTheFormForAscendDevices) {
  const auto map = parse_vllm_expert_map(R"({"moe_layer_count": 1, "layer_list": [{"layer_id": 0, "device_count": 2, "device_list": [
      {"device_id": 0, "device_expert": [0, 2]}, {"device_id": 1, "device_expert": [1, 0]}]}]})");
  ASSERT_TRUE(map) << map.error().message;
  EXPECT_EQ(*map, (SlotMap{1, 4, 2, {0, 2, 1, 0}}));
  EXPECT_EQ(layout_of(*map, 0)->slots_of_device, (std::vector<std::uint32_t>{2, 2}));
  EXPECT_EQ(layout_of(*map, 4).error().message, "expert map: is for 2 devices, not for 4");
}

TEST(VllmExpertMap, ErrorsNameThePlace) {
  EXPECT_EQ(error_of("[[0,1],[1,0]]", 3), "vLLM expert map: has 2 layers, not 3");
  EXPECT_EQ(error_of("[[0,1],[1,1]]"), "vLLM expert map: layer 1: expert 0 is in none of its 2 slots; every expert from 0 to 1 needs one");
  EXPECT_EQ(error_of("[[0,1],[1,7]]"),
            "vLLM expert map: layer 1 slot 1: must be an expert, a whole number from 0 to 1 (a layer has 2 slots), is 7");
  EXPECT_EQ(error_of("[[[0]]]"), "vLLM expert map: must be [layers][slots], is [1][1][1]");
  EXPECT_EQ(error_of("[]"), "vLLM expert map: has no slots: [1][0]");
  EXPECT_EQ(error_of("7"), "vLLM expert map: must be nested arrays of numbers, is a number");
  EXPECT_EQ(error_of(R"({"layers": []})"), "vLLM expert map: unknown key 'layers'; known are: moe_layer_count, layer_list");
  EXPECT_EQ(error_of(R"({"layer_list": []})"), "vLLM expert map: has no slots: [0][0]");
  EXPECT_EQ(error_of(R"({"layer_list": [{"device_list": [{"device_expert": [0, 1]}, {"device_expert": [0]}]}]})"),
            "vLLM expert map: layer 0 device 1: has 1 experts, device 0 has 2: every device must have as many");
  EXPECT_EQ(
      error_of(
          R"({"layer_list": [{"device_list": [{"device_expert": [0]}]}, {"device_list": [{"device_expert": [0]}, {"device_expert": [0]}]}]})"),
      "vLLM expert map: layer 1: has 2 devices with 2 slots, layer 0 has 1 with 1");
  EXPECT_EQ(error_of(R"({"moe_layer_count": 2, "layer_list": [{"device_list": [{"device_expert": [0]}]}]})"),
            "vLLM expert map: moe_layer_count must be 1");
  EXPECT_EQ(error_of(R"({"layer_list": [{"device_count": 3, "device_list": [{"device_expert": [0]}]}]})"),
            "vLLM expert map: layer 0: device_count must be 1");
  EXPECT_EQ(error_of(R"({"layer_list": [{"layer_id": 5, "device_list": [{"device_expert": [0]}]}]})"),
            "vLLM expert map: layer 0: layer_id must be 0");
}

TEST(VllmExpertMap, WritesWhatItReads) {
  const ExpertLayout layout{{2, 3}, {2, 2}, {0, 1, 2, 0, 2, 1, 0, 2}};
  EXPECT_EQ(*write_vllm_expert_map(layout), "[[0,1,2,0],[2,1,0,2]]\n");
  EXPECT_EQ(*layout_of(*parse_vllm_expert_map(*write_vllm_expert_map(layout)), 2), layout);
  EXPECT_EQ(*layout_of(*parse_vllm_expert_map(*write_ascend_expert_map(layout)), 0), layout);
}

}  // namespace
}  // namespace flexpert::codec
