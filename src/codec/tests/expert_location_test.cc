#include "codec/expert_location.h"

#include <gtest/gtest.h>

#include "codec/tests/test_file.h"
#include "codec/torch_file.h"

namespace flexpert::codec {
namespace {

std::string error_of(std::string_view text) {
  const auto location = parse_expert_location(text);
  return location ? "no error" : location.error().message;
}

std::string layout_error(const SlotMap& map, std::uint32_t devices, std::uint32_t experts = 0) {
  const auto layout = layout_of(map, devices, experts);
  return layout ? "no error" : layout.error().message;
}

const SlotMap kMap{2, 6, 0, {0, 1, 2, 3, 0, 1, 3, 2, 1, 0, 3, 3}};

TEST(ExpertLocation, ReadsWordMapAndCounts) {
  EXPECT_EQ(*parse_expert_location("trivial\n"), ExpertLocation(TrivialLocation{}));
  EXPECT_EQ(*parse_expert_location(R"( {"physical_to_logical_map": [[0,1,2,3,0,1],[3,2,1,0,3,3]]} )"), ExpertLocation(kMap));
  EXPECT_EQ(*parse_expert_location(R"({"logical_count": [[[1,2]],[[3,4]]], "rank": 0})"), ExpertLocation(ExpertCounts{{1, 2}, {4, 6}, 0}));
}

TEST(ExpertLocation, ReadsGenuineTorchFiles) {
  EXPECT_EQ(*parse_expert_location(fixture("map.pt")), ExpertLocation(kMap));
  const auto counts = parse_expert_location(fixture("torch_2/stat_dump.pt"));
  ASSERT_TRUE(counts) << counts.error().message;
  EXPECT_EQ(std::get<ExpertCounts>(*counts).geometry, (ExpertGeometry{3, 4}));
  EXPECT_EQ(std::get<ExpertCounts>(*counts).count[0], 0 + 12);
}

TEST(ExpertLocation, ErrorsNameLayerAndSlot) {
  EXPECT_EQ(error_of(R"({"physical_to_logical_map": [[0,1],[1,2]]})"),
            "physical_to_logical_map: layer 1 slot 1: must be an expert, a whole number from 0 to 1 (a layer has 2 slots), is 2");
  EXPECT_EQ(error_of(R"({"physical_to_logical_map": [[0,1],[1,-1]]})"),
            "physical_to_logical_map: layer 1 slot 1: must be an expert, a whole number from 0 to 1 (a layer has 2 slots), is -1");
  EXPECT_EQ(error_of(R"({"physical_to_logical_map": [[0,0.5]]})"),
            "physical_to_logical_map: layer 0 slot 1: must be an expert, a whole number from 0 to 1 (a layer has 2 slots), is 0.5");
  EXPECT_EQ(error_of(R"({"physical_to_logical_map": [[0,1,2],[2,2,1]]})"),
            "physical_to_logical_map: layer 1: expert 0 is in none of its 3 slots; every expert from 0 to 2 needs one");
  EXPECT_EQ(error_of(R"({"physical_to_logical_map": [[0,1],[0]]})"),
            "physical_to_logical_map[1]: ragged: has 1 entries, the rows before have 2");
  EXPECT_EQ(error_of(R"({"physical_to_logical_map": [0,1]})"), "physical_to_logical_map: must be [layers][slots], is [2]");
  EXPECT_EQ(error_of(R"({"physical_to_logical_map": [[]]})"), "physical_to_logical_map: has no slots: [1][0]");
  EXPECT_EQ(error_of(R"({"physical_to_logical_map": [[0]], "note": 1})"),
            "expert location: unknown key 'note' beside physical_to_logical_map: SGLang allows no other; remove it");
  EXPECT_EQ(error_of(R"({"physical_to_logical_map": [[0]], "physical_to_logical_map": [[0]]})"),
            "expert location: the key 'physical_to_logical_map' is there twice; keep one");
  EXPECT_TRUE(error_of(R"({"map": []})").starts_with("expert location: has neither physical_to_logical_map nor logical_count"));
  EXPECT_TRUE(error_of("[]").starts_with("expert location: must be trivial, JSON that begins with '{', or a .pt file"));
  EXPECT_TRUE(error_of("").starts_with("expert location: must be trivial"));
  EXPECT_TRUE(error_of("trivially").starts_with("expert location: must be trivial"));
}

TEST(ExpertLocation, DevicesMustDivideTheSlots) {
  EXPECT_EQ(layout_of(kMap, 3)->slots_of_device, (std::vector<std::uint32_t>{2, 2, 2}));
  EXPECT_EQ(layout_of(kMap, 3)->geometry, (ExpertGeometry{2, 4}));
  EXPECT_EQ(layout_error(kMap, 4), "expert map: 6 slots a layer do not divide over 4 devices; 3 would");
  EXPECT_EQ(layout_error({1, 288, 0, std::vector<std::int32_t>(288, 0)}, 7),
            "expert map: 288 slots a layer do not divide over 7 devices; 6 or 8 would");
  EXPECT_EQ(layout_error(kMap, 0), "expert map: does not say how many devices its 6 slots are on; give their number");
  EXPECT_EQ(layout_error(kMap, 3, 3), "expert map: layer 0 slot 3: no expert 3: the model has 0 to 2");
  EXPECT_EQ(layout_error(kMap, 3, 5), "expert map: layer 0: expert 4 is in none of its 6 slots; every expert from 0 to 4 needs one");
  EXPECT_EQ(layout_error(kMap, 3, 7), "expert map: 6 slots a layer cannot hold the model's 7 experts");
}

TEST(ExpertLocation, WritesWhatItReads) {
  const ExpertLayout layout = *layout_of(kMap, 3);
  EXPECT_EQ(*write_expert_location_json(layout), "{\"physical_to_logical_map\":[[0,1,2,3,0,1],[3,2,1,0,3,3]]}\n");
  EXPECT_EQ(*parse_expert_location(*write_expert_location_json(layout)), ExpertLocation(kMap));
  EXPECT_EQ(*parse_expert_location(*write_expert_location_pt(layout)), ExpertLocation(kMap));
}

TEST(ExpertLocation, EnginesCannotBeGivenEmptyOrUnevenSlots) {
  EXPECT_EQ(write_expert_location_json({{1, 2}, {2, 2}, {0, 1, 1, kEmptySlot}}).error().message,
            "expert layout: layer 0 slot 3 is empty: an engine's map has no empty slots; plan with as many slots as are used");
  EXPECT_EQ(write_expert_location_json({{1, 2}, {1, 2}, {0, 1, 1}}).error().message,
            "expert layout: device 1 has 2 slots and device 0 has 1: an engine's map has as many on each; plan with equal slots");
}

TEST(ExpertLocation, AKeyBesideAMapInATorchFileIsRefused) {
  TorchValue::Dict root;
  root.emplace_back("physical_to_logical_map", TorchValue{TorchTensor{TorchDtype::kInt64, {{1, 1}, {0}}}});
  root.emplace_back("rank", TorchValue{std::int64_t{0}});
  EXPECT_EQ(error_of(*write_torch_file({root})),
            "expert location: unknown key 'rank' beside physical_to_logical_map: SGLang allows no other; remove it");
}

}  // namespace
}  // namespace flexpert::codec
