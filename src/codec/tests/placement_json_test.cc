#include "codec/placement_json.h"

#include <limits>

#include <gtest/gtest.h>

namespace flexpert::codec {
namespace {

PlacementFile sample() {
  PlacementFile file;
  file.cluster.devices = {{0, 0, 2, 1, true}, {1, 1, 3, 0.75, false}};
  file.plan.mode = "incremental";
  file.plan.layout = {{2, 3}, {2, 3}, {0, 1, 2, 0, kEmptySlot, 2, 1, 0, 0, 0}};
  file.plan.balance = {{{1, 2, 1.5, 1, 0}, {0, 0, 0, 0, 3}}, 0.5, 0.5, 1, 0.9, 1.0 / 3.0, 3};
  file.plan.moves = {{{1, 4, 2, 0, MoveKind::kCrossNode, 2}, {0, 0, kEmptySlot, 0, MoveKind::kLoad, 0}}, 8, 0, 0, 1, 1, 123'456'789'012};
  file.plan.worthwhile = false;
  file.plan.reasons = {{"hold", "says \"why\"\n", {{"saving_ms", 0.25}}}};
  file.provenance = {
      "flexpert", "0.1.0", "2026-01-31T12:00:00Z", "counts.json#tasks.law", "xxh3-128:0", {{"--mode", "incremental"}, {"--budget", "10%"}}};
  return file;
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

std::string error_of(std::string_view text) {
  const auto file = parse_placement_json(text);
  return file ? "no error" : file.error().message;
}

TEST(PlacementJson, WritesAllOfAPlanAndReadsItBack) {
  const PlacementFile file = sample();
  const std::string text = write_placement_json(file);
  EXPECT_TRUE(is_placement_json(text));
  const auto back = parse_placement_json(text);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->plan.layout, file.plan.layout);
  EXPECT_EQ(back->cluster, file.cluster);
  EXPECT_EQ(back->provenance, file.provenance);
  EXPECT_EQ(back->plan.balance.gap, 1.0 / 3.0);
  EXPECT_EQ(back->plan.balance.layers[1].duplicates, 3U);
  EXPECT_EQ(back->plan.moves.moves[1].from_expert, kEmptySlot);
  EXPECT_EQ(back->plan.reasons[0].text, "says \"why\"\n");
  EXPECT_EQ(write_placement_json(*back), text);
}

TEST(PlacementJson, ErrorsNameTheField) {
  const std::string text = write_placement_json(sample());
  EXPECT_EQ(error_of(replaced(text, "flexpert-placement", "other")), "placement: format: must be flexpert-placement");
  EXPECT_EQ(error_of(replaced(text, "\"version\":1", "\"version\":2")),
            "placement: version: must be 1; a newer file needs a newer flexpert");
  EXPECT_TRUE(
      error_of(replaced(text, "\"mode\"", "\"made\"")).starts_with("placement: made: unknown field; known are: format, version, mode"));
  EXPECT_EQ(error_of(replaced(text, "\"worthwhile\":false,", "")), "placement: worthwhile: missing");
  EXPECT_EQ(error_of(replaced(text, "\"node\":0", "\"node\":-1")), "placement: devices[0].node: must be an integer from 0 to 4294967295");
  EXPECT_EQ(error_of(replaced(text, "cross_node\",", "walk\",")),
            "placement: moves.list[0].kind: must be unchanged, same_device, same_node, cross_node or load");
  EXPECT_EQ(error_of(replaced(text, "\"options\":{", "\"options\":{\"x\":1,")), "placement: provenance.options.x: must be a string");
  EXPECT_TRUE(error_of("{").starts_with("placement: not JSON"));
  EXPECT_EQ(error_of("[]"), "placement: must be a JSON object");
}

TEST(PlacementJson, ErrorsNameLayerAndSlot) {
  const std::string text = write_placement_json(sample());
  EXPECT_EQ(error_of(replaced(text, "[2,1,0,0,0]", "[2,1,0,0,3]")),
            "placement: expert_of_slot: layer 1 slot 4: must be an expert, 0 to 2, or -1 for an empty slot");
  EXPECT_EQ(error_of(replaced(text, "[2,1,0,0,0]", "[2,1,0,0]")),
            "placement: expert_of_slot[1]: must be an array of 5 slots, one for each slot of the devices");
  EXPECT_EQ(error_of(replaced(text, "[2,1,0,0,0]", "[2,1,2,1,1]")),
            "placement: expert layout: layer 1: expert 0 is in none of its 5 slots");
  EXPECT_EQ(error_of(replaced(text, "\"layers\":2", "\"layers\":3")), "placement: expert_of_slot: has 2 rows, layers is 3");
  EXPECT_EQ(error_of(replaced(text, "\"experts\":3", "\"experts\":4000000000")),
            "placement: experts: 4000000000 experts need as many slots; the devices have 5");
  EXPECT_TRUE(error_of(replaced(text, "\"speed\":0.75", "\"speed\":0")).starts_with("placement: "));
  EXPECT_TRUE(error_of(replaced(text, "\"slots\":3", "\"slots\":4000000000")).starts_with("placement: "));
}

TEST(PlacementJson, ADigestKnowsGeometryAndCounts) {
  const ExpertCounts counts{{1, 4}, {1, 2, 3, 4}, 0};
  EXPECT_EQ(digest_of(counts), digest_of(ExpertCounts{{1, 4}, {1, 2, 3, 4}, 99}));
  EXPECT_NE(digest_of(counts), digest_of(ExpertCounts{{2, 2}, {1, 2, 3, 4}, 0}));
  EXPECT_NE(digest_of(counts), digest_of(ExpertCounts{{1, 4}, {1, 2, 3, 5}, 0}));
  EXPECT_EQ(digest_of(counts).size(), std::string("xxh3-128:").size() + 32);
}

}  // namespace
}  // namespace flexpert::codec
