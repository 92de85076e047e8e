#include "codec/expert_files.h"

#include <gtest/gtest.h>

#include "codec/expert_counts_csv.h"
#include "codec/expert_counts_json.h"
#include "codec/gzip.h"
#include "codec/npy.h"
#include "codec/recorder_dump.h"
#include "codec/tests/test_file.h"

namespace flexpert::codec {
namespace {

const ExpertCounts kCounts{{2, 3}, {1, 2, 3, 4, 5, 6}, 0};
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

}  // namespace
}  // namespace flexpert::codec
