#include "codec/expert_counts_csv.h"

#include <gtest/gtest.h>

namespace flexpert::codec {
namespace {

const ExpertCounts kCounts{{2, 3}, {1, 2, 3, 4, 0.5, 6}, 0};

std::string error_of(std::string_view text) {
  const auto counts = parse_expert_counts_csv(text);
  return counts ? "no error" : counts.error().message;
}

TEST(ExpertCountsCsv, ReadsTables) {
  EXPECT_EQ(*parse_expert_counts_csv("1,2,3\n4,0.5,6\n"), kCounts);
  EXPECT_EQ(*parse_expert_counts_csv("\xef\xbb\xbf# from a run\r\ne0; e1; e2\r\n1; 2; 3\r\n\r\n4; 5e-1; 6"), kCounts);
  EXPECT_EQ(*parse_expert_counts_csv("layer\t0\t1\t2\n0\t1\t2\t3\n1\t4\t.5\t\"6\"\n"), kCounts);
}

TEST(ExpertCountsCsv, ReadsLists) {
  EXPECT_EQ(*parse_expert_counts_csv("expert,layer,note,count\n0,0,a,1\n1,0,,2\n2,0,,3\n2,1,,6\n1,1,,0.5\n0,1,,4\n"), kCounts);
  EXPECT_EQ(parse_expert_counts_csv("layer,expert,count\n1,1,5\n")->count, (std::vector<double>{0, 0, 0, 5}));
}

TEST(ExpertCountsCsv, WritesWhatItReads) {
  EXPECT_EQ(write_expert_counts_csv(kCounts), "layer,0,1,2\n0,1,2,3\n1,4,0.5,6\n");
  EXPECT_EQ(*parse_expert_counts_csv(write_expert_counts_csv(kCounts)), kCounts);
}

TEST(ExpertCountsCsv, ErrorsNameLineLayerAndExpert) {
  EXPECT_EQ(error_of(""), "csv: has no counts");
  EXPECT_EQ(error_of("layer,0,1\n"), "csv: has no counts after its first line");
  EXPECT_EQ(error_of("1,2\n3\n"), "csv: line 2: layer 1: ragged: has 1 fields, the first line has 2");
  EXPECT_EQ(error_of("1,2\n3,-4\n"), "csv: line 2: layer 1 expert 1: a count must be a finite number >= 0, is '-4'");
  EXPECT_EQ(error_of("1,nan\n"), "csv: line 1: layer 0 expert 1: a count must be a finite number >= 0, is 'nan'");
  EXPECT_EQ(error_of("1,2\n3,\n"), "csv: line 2: layer 1 expert 1: a count must be a finite number >= 0, is ''");
  EXPECT_EQ(error_of("1,2\n3,4x\n"), "csv: line 2: layer 1 expert 1: a count must be a finite number >= 0, is '4x'");
  EXPECT_EQ(error_of("1,many\n3,4\n"), "csv: line 1: layer 0 expert 1: a count must be a finite number >= 0, is 'many'");
  EXPECT_EQ(error_of("layer,0\n1,5\n"), "csv: line 2: layer 0 must come next, is 1");
  EXPECT_EQ(error_of("layer,expert,count\n0,0,1\n0,0,2\n"), "csv: line 3: layer 0 expert 0 is there twice");
  EXPECT_EQ(error_of("layer,expert,count\n0,-1,1\n"), "csv: line 2: expert must be a whole number from 0 to 1048575, is '-1'");
  EXPECT_EQ(error_of("layer,expert,count\n0,1\n"), "csv: line 2: has 2 fields, the first line has 3");
  EXPECT_EQ(error_of("layer,expert,count\n1000000,1000000,1\n"), "csv: 1000001 layers x 1000001 experts, but only 1 counts listed");
}

}  // namespace
}  // namespace flexpert::codec
