#include "codec/expert_counts_json.h"

#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "codec/gzip.h"

namespace flexpert::codec {
namespace {

std::string file(const std::string& name) {
  std::ifstream in(std::string(FLEXPERT_SOURCE_DIR) + "/data/expert-loads/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::string error_of(std::string_view text, std::string_view path = "") {
  const auto counts = counts_at(text, path);
  return counts ? "no error" : counts.error().message;
}

TEST(ExpertCountsJson, ReadsLayersTimesExperts) {
  const auto counts = parse_expert_counts_json(R"({"logical_count": [[1, 2, 3], [0, 0, 0]], "rank": 0})");
  ASSERT_TRUE(counts) << counts.error().message;
  EXPECT_EQ(counts->geometry, (ExpertGeometry{2, 3}));
  EXPECT_EQ(counts->count, (std::vector<double>{1, 2, 3, 0, 0, 0}));
}

TEST(ExpertCountsJson, AddsStepsUpOrGivesEach) {
  const std::string text = R"({"logical_count": [[[1, 2]], [[10, 20]], [[100, 200.5]]]})";
  EXPECT_EQ(parse_expert_counts_json(text)->count, (std::vector<double>{111, 222.5}));
  const auto steps = count_steps_at(text, "");
  ASSERT_TRUE(steps);
  ASSERT_EQ(steps->size(), 3U);
  EXPECT_EQ((*steps)[1].count, (std::vector<double>{10, 20}));
}

TEST(ExpertCountsJson, ErrorsNameLayerAndExpert) {
  EXPECT_EQ(error_of(R"({"logical_count": [[1, 2], [3, -4]]})"),
            "logical_count: layer 1 expert 1: a count must be a finite number >= 0, is -4");
  EXPECT_EQ(error_of(R"({"logical_count": [[1, 2], [3]]})"), "logical_count[1]: ragged: has 1 entries, the rows before have 2");
  EXPECT_EQ(error_of(R"({"logical_count": [[1, 2], [3, "4"]]})"), "logical_count[1][1]: must be a number, is a string");
  EXPECT_EQ(error_of(R"({"logical_count": [[1, [2]]]})"),
            "logical_count[0][1]: wrong nesting: an array where the rows before have a number");
  EXPECT_EQ(error_of(R"({"logical_count": [[[1]], [2]]})"),
            "logical_count[1][0]: wrong nesting: a number where the rows before have an array");
  EXPECT_EQ(error_of(R"({"logical_count": [1, 2]})"), "logical_count: must be [layers][experts] or [steps][layers][experts], is [2]");
  EXPECT_EQ(error_of(R"({"logical_count": [[], []]})"),
            "logical_count: has no counts: [2][0]; it needs a step, a layer and an expert at least");
  EXPECT_EQ(error_of(R"({"logical_count": []})"), "logical_count: must be [layers][experts] or [steps][layers][experts], is [0]");
  EXPECT_EQ(error_of(R"({"logical_count": null})"), "logical_count: must be nested arrays of numbers, is null");
  EXPECT_EQ(error_of(R"({"logical_count": [[1]], "logical_count": [[2]]})"),
            "expert counts: the key 'logical_count' is there twice; keep one");
  EXPECT_TRUE(error_of(R"({"logical_count": [[NaN]]})").starts_with("expert counts: not JSON"));
  EXPECT_TRUE(error_of("").starts_with("expert counts: not JSON"));
}

TEST(ExpertCountsJson, AStepTooLargeToPlanWithIsRefused) {
  const auto steps = count_steps_at(R"({"logical_count": [[[1, 2]], [[3, 1e31]]]})", "");
  ASSERT_FALSE(steps);
  EXPECT_EQ(steps.error().message, "logical_count: step 1 layer 0 expert 1: a count must be a finite number >= 0 and <= 1e+30, is 1e+31");
}

TEST(ExpertCountsJson, AWrongPathSaysWhatThereIs) {
  const std::string text =
      R"({"tasks": {"law": {"logical_count": [[1]]}, "intent": {"logical_count": [[2]]}}, "domains": [{"logical_count": [[3]]}]})";
  EXPECT_EQ(error_of(text), "expert counts: 'the file' has no logical_count; select one of: tasks.law tasks.intent domains[0]");
  EXPECT_EQ(error_of(text, "tasks.laws"), "select: 'tasks' has no 'laws'; it has: law, intent");
  EXPECT_EQ(error_of(text, "domains[1]"), "select: 'domains' has no [1]; it has 1 entries");
  EXPECT_EQ(error_of(text, "tasks[0]"), "select: 'tasks' is an object and has no [0]");
  EXPECT_TRUE(error_of(text, "domains[x]").starts_with("select: '[x]' is no index"));
  EXPECT_TRUE(error_of(text, "domains[0").starts_with("select: 'domains[0' has a '[' without ']'"));
  EXPECT_TRUE(error_of(text, "tasks..law").starts_with("select: 'tasks..law' has an empty step"));
  EXPECT_EQ(counts_at(text, "domains[0]")->count, std::vector<double>{3});
  EXPECT_EQ(counts_at(text, "tasks.law.logical_count")->count, std::vector<double>{1});
}

TEST(ExpertCountsJson, ReadsTheRecordedLoads) {
  const std::string text = *gunzip(file("deepseek-v2-lite-counts.json.gz"), 1U << 24);
  EXPECT_EQ(*count_paths(text), (std::vector<std::string>{"tasks.translation", "tasks.law", "tasks.summary", "tasks.intent"}));
  const auto law = counts_at(text, "tasks.law");
  ASSERT_TRUE(law) << law.error().message;
  EXPECT_EQ(law->geometry, (ExpertGeometry{26, 64}));
  double tokens = 0;
  for (const double count : law->layer(25)) tokens += count;
  EXPECT_EQ(tokens, 16 * 512 * 6);
  const std::string domains = file("gpt-oss-20b-domains.json");
  EXPECT_EQ(count_paths(domains)->size(), 32U);
  EXPECT_EQ(counts_at(domains, "domains[31]")->geometry, (ExpertGeometry{24, 32}));
}

TEST(ExpertCountsJson, WritesWhatItReads) {
  const ExpertCounts counts{{2, 2}, {0.1, 9007199254740991, 0, 3}, 0};
  EXPECT_EQ(*parse_expert_counts_json(write_expert_counts_json(counts)), counts);
  EXPECT_EQ(*count_steps_at(write_count_steps_json({counts, counts}), ""), (std::vector<ExpertCounts>{counts, counts}));
}

}  // namespace
}  // namespace flexpert::codec
