#include "codec/recorder_dump.h"

#include <cmath>

#include <gtest/gtest.h>

#include "codec/tests/test_file.h"
#include "codec/torch_file.h"

namespace flexpert::codec {
namespace {

std::string error_of(const TorchValue& root) {
  const auto dump = parse_recorder_dump(*write_torch_file(root));
  return dump ? "no error" : dump.error().message;
}

TorchValue tensor(std::vector<std::uint64_t> shape, std::vector<double> values) {
  return {TorchTensor{TorchDtype::kFloat64, {std::move(shape), std::move(values)}}};
}

TorchValue one_record(TorchValue count) {
  TorchValue::Dict record{{"global_physical_count", std::move(count)}};
  return {
      TorchValue::Dict{{"records", {TorchValue::List{{std::move(record)}}}}, {"last_physical_to_logical_map", tensor({1, 3}, {0, 1, 0})}}};
}

TEST(RecorderDump, ReadsStatDumpsStepByStep) {
  const auto dump = parse_recorder_dump(fixture("stat_dump.pt"));
  ASSERT_TRUE(dump) << dump.error().message;
  ASSERT_EQ(dump->steps.size(), 2U);
  EXPECT_EQ(dump->steps[1].layer(0)[0], 12);
  EXPECT_FALSE(dump->last_map);
}

TEST(RecorderDump, MakesLogicalCountsOfPasses) {
  const auto dump = parse_recorder_dump(fixture("per_pass_dump.pt"));
  ASSERT_TRUE(dump) << dump.error().message;
  ASSERT_EQ(dump->steps.size(), 2U);
  // Slots hold 0 1 2 3 0 1 and 3 2 1 0 3 3; they count 0..5 and 6..11, the second pass twice that.
  EXPECT_EQ(dump->steps[0].count, (std::vector<double>{4, 6, 2, 3, 9, 8, 7, 27}));
  EXPECT_EQ(dump->steps[1].count, (std::vector<double>{8, 12, 4, 6, 18, 16, 14, 54}));
  ASSERT_TRUE(dump->last_map);
  EXPECT_EQ(dump->last_map->slots, 6U);
}

TEST(RecorderDump, ReadsTokenDumpsOfBothVersions) {
  for (const char* name : {"per_token_dump.pt", "torch_2/per_token_dump.pt"}) {
    const auto dump = parse_recorder_dump(fixture(name));
    ASSERT_TRUE(dump) << dump.error().message;
    EXPECT_EQ(dump->steps.at(0).count, (std::vector<double>{2, 2, 1, 0, 1, 0, 1, 3})) << name;
  }
}

TEST(RecorderDump, WhatDoesNotFitIsAnError) {
  EXPECT_EQ(error_of({}), "recorder dump: must be a dict, is None");
  EXPECT_EQ(error_of({TorchValue::Dict{}}),
            "recorder dump: has neither logical_count (modes stat, stat_approx) nor records (modes per_pass, per_token)");
  EXPECT_EQ(error_of({TorchValue::Dict{{"logical_count", {}}}}), "logical_count: must be a tensor, is None");
  EXPECT_EQ(error_of({TorchValue::Dict{{"logical_count", tensor({1, 2}, {1, -1})}}}),
            "logical_count: layer 0 expert 1: a count must be a finite number >= 0, is -1");
  EXPECT_EQ(error_of({TorchValue::Dict{{"logical_count", tensor({1, 1, 1}, {std::nan("")})}}}),
            "logical_count: step 0 layer 0 expert 0: a count must be a finite number >= 0, is nan");
  EXPECT_EQ(error_of({TorchValue::Dict{{"records", {TorchValue::List{}}}}}),
            "recorder dump: has records but no last_physical_to_logical_map");
  EXPECT_EQ(error_of(one_record(tensor({1, 2}, {1, 2}))),
            "records[0].global_physical_count: is [1][2], but last_physical_to_logical_map is [1][3]");
  EXPECT_EQ(error_of(one_record({})), "records[0].global_physical_count: must be a tensor, is None");
  EXPECT_EQ(error_of(one_record(tensor({1, 3}, {1, 2, 3}))), "no error");
}

TEST(RecorderDump, WritesWhatItReads) {
  const std::vector<ExpertCounts> steps{{{2, 2}, {1, 2, 3, 4}, 0}, {{2, 2}, {5, 6, 7, 8}, 0}};
  EXPECT_EQ(parse_recorder_dump(*write_stat_dump(steps))->steps, steps);
  const std::vector<ExpertCounts> fractions{{{1, 2}, {0.5, 2}, 0}};
  EXPECT_EQ(parse_recorder_dump(*write_stat_dump(fractions))->steps, fractions);

  const SlotMap map{2, 3, 0, {0, 1, 0, 1, 0, 1}};
  const auto bytes = write_pass_dump({{4, {1, 2, 3, 4, 5, 6}, 0, 0, {}}, {5, {0, 0, 2, 0, 1, 1}, 1, 2, {2, 2, 1, 2}}}, map);
  ASSERT_TRUE(bytes) << bytes.error().message;
  const auto dump = parse_recorder_dump(*bytes);
  ASSERT_TRUE(dump) << dump.error().message;
  EXPECT_EQ(dump->steps[0].count, (std::vector<double>{4, 2, 5, 10}));
  EXPECT_EQ(dump->steps[1].count, (std::vector<double>{2, 0, 1, 1}));
  EXPECT_EQ(*dump->last_map, map);
  EXPECT_FALSE(write_pass_dump({{4, {1, 2}, 0, 0, {}}}, map));
}

}  // namespace
}  // namespace flexpert::codec
