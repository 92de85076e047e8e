#include "codec/expert_files.h"

#include <gtest/gtest.h>

#include "codec/expert_counts_csv.h"
#include "codec/expert_counts_json.h"
#include "codec/expert_location.h"
#include "codec/gzip.h"
#include "codec/npy.h"
#include "codec/placement_json.h"
#include "codec/recorder_dump.h"
#include "codec/tests/test_file.h"
#include "codec/vllm_expert_map.h"

namespace flexpert::codec {
namespace {

const ExpertCounts kCounts{{2, 3}, {1, 2, 3, 4, 5, 6}, 0};
const ExpertLayout kLayout{{2, 3}, {2, 2}, {0, 1, 2, 0, 2, 1, 0, 2}};

std::string layout_error(std::string_view bytes, const LayoutShape& shape) {
  const auto layout = read_layout(bytes, shape);
  return layout ? "no error" : layout.error().message;
}

TEST(ExpertFiles, TellsEveryFormOfCountsByItsContents) {
  const std::vector<std::string> files{
      write_expert_counts_json(kCounts), write_expert_counts_csv(kCounts),         *write_npy(array_of(kCounts), NpyType::kInt64),
      *write_stat_dump({kCounts}),       *gzip(write_expert_counts_json(kCounts)), *gzip(*write_stat_dump({kCounts}))};
  for (const std::string& file : files) {
    const auto counts = read_counts(file);
    ASSERT_TRUE(counts) << counts.error().message;
    EXPECT_EQ(*counts, kCounts);
  }
  EXPECT_EQ(read_counts(fixture("stored.npz"))->count, (std::vector<double>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(read_count_steps(fixture("steps.npy"))->size(), 2U);
}

TEST(ExpertFiles, APathSelectsWithinABundle) {
  const std::string bundle = tree_file("data/expert-loads/deepseek-v2-lite-counts.json.gz");
  EXPECT_EQ(read_count_steps(bundle, "tasks.law")->size(), 16U);
  EXPECT_EQ(read_counts(bundle, "tasks.summary")->geometry, (ExpertGeometry{26, 64}));
  EXPECT_EQ(read_counts(fixture("stat_dump.pt"), "x").error().message, "a path within the file has no meaning for .pt: x");
  EXPECT_EQ(read_counts("1,2\n", "x").error().message, "a path within the file has no meaning for CSV: x");
}

TEST(ExpertFiles, TellsEveryFormOfLayoutsByItsContents) {
  PlacementFile own;
  own.plan.layout = kLayout;
  own.cluster = ExpertCluster::uniform(2, 1, 2);
  const std::vector<std::string> files{*write_expert_location_json(kLayout),
                                       *write_expert_location_pt(kLayout),
                                       *write_vllm_expert_map(kLayout),
                                       *write_ascend_expert_map(kLayout),
                                       write_placement_json(own),
                                       *gzip(write_placement_json(own)),
                                       *write_npy(array_of(*slot_map_of(kLayout)), NpyType::kInt32)};
  for (const std::string& file : files) {
    const auto layout = read_layout(file, {.devices = 2});
    ASSERT_TRUE(layout) << layout.error().message;
    EXPECT_EQ(*layout, kLayout);
  }
  EXPECT_EQ(read_layout(fixture("per_pass_dump.pt"), {.devices = 3})->geometry, (ExpertGeometry{2, 4}));
  EXPECT_EQ(*read_layout("trivial", {.devices = 2, .layers = 2, .experts = 3, .slots = 4}), trivial_layout({2, 3}, {2, 2}));
}

TEST(ExpertFiles, ALayoutMustHaveTheShapeAskedFor) {
  const std::string map = *write_expert_location_json(kLayout);
  EXPECT_EQ(layout_error(map, {.devices = 3}), "expert map: 4 slots a layer do not divide over 3 devices; 2 would");
  EXPECT_EQ(layout_error(map, {.devices = 2, .layers = 3}), "layout: has 2 layers, not 3");
  EXPECT_EQ(layout_error(map, {.devices = 2, .slots = 5}), "layout: has 4 slots a layer, not 5");
  EXPECT_EQ(layout_error("trivial", {.devices = 2}), "layout: trivial needs the numbers of layers, experts, slots and devices");
  EXPECT_EQ(layout_error("trivial", {.devices = 2, .layers = 1, .experts = 5, .slots = 4}),
            "layout: 4 slots a layer cannot hold the model's 5 experts");
  EXPECT_EQ(layout_error(write_expert_counts_json(kCounts), {.devices = 2}),
            "layout: the file has counts, not a map of slots: plan one from them first");
}

}  // namespace
}  // namespace flexpert::codec
