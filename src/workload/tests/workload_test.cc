#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "workload/arrivals.h"
#include "workload/phases.h"
#include "workload/prompt_set.h"
#include "workload/samples.h"

namespace flexpert::workload {
namespace {

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<PromptSet> two_sets() { return {{"code", {"a", "b", "c"}}, {"math", {"d", "e"}}}; }

TEST(PromptSet, ShippedSetsHaveFortyDistinctPromptsAndTheirFilesName) {
  const std::filesystem::path folder = std::filesystem::path(FLEXPERT_SOURCE_DIR) / "models/flexpert-tiny-moe/prompts";
  for (const std::string name : {"code", "math", "dialogue", "prose"}) {
    auto set = parse_prompt_set(read_file(folder / (name + ".json")), name);
    ASSERT_TRUE(set) << set.error().message;
    EXPECT_EQ(set->name, name);
    EXPECT_GE(std::set<std::string>(set->prompts.begin(), set->prompts.end()).size(), 40U);
  }
}

TEST(PromptSet, SaysWhatIsWrong) {
  EXPECT_NE(parse_prompt_set("{", "x.json").error().message.find("x.json"), std::string::npos);
  EXPECT_NE(parse_prompt_set(R"({"name":"a","prompts":["p",3]})", "x").error().message.find("prompts[1]"), std::string::npos);
  EXPECT_NE(parse_prompt_set(R"({"name":"a","prompt":["p"]})", "x").error().message.find("prompt"), std::string::npos);
  EXPECT_FALSE(parse_prompt_set(R"({"name":"a","prompts":[]})", "x"));
  EXPECT_FALSE(parse_prompt_set("[]", "x"));
}

TEST(Phases, ReadsAWholeFile) {
  auto phases = parse_phases(R"({"phases":[{"name":"hot","seconds":20,"requests_per_s":2.5,"mix":{"code":1,"math":0.5},"max_tokens":32},
                                 {"name":"quiet","seconds":5,"requests_per_s":0,"mix":{"math":1}}]})", "p.json");
  ASSERT_TRUE(phases) << phases.error().message;
  ASSERT_EQ(phases->size(), 2U);
  EXPECT_EQ((*phases)[0].max_tokens, 32U);
  EXPECT_DOUBLE_EQ((*phases)[0].mix[1].weight, 0.5);
  EXPECT_EQ(total_duration(*phases), Seconds(25));
}

TEST(Phases, RefusesWhatCannotBe) {
  EXPECT_FALSE(parse_phases("nonsense", "p"));
  EXPECT_FALSE(parse_phases(R"({"phases":[]})", "p"));
  EXPECT_FALSE(parse_phases(R"({"phases":[{"name":"a","seconds":-1,"requests_per_s":1,"mix":{"x":1}}]})", "p"));
  EXPECT_FALSE(parse_phases(R"({"phases":[{"name":"a","seconds":1,"requests_per_s":1,"mix":{}}]})", "p"));
  EXPECT_FALSE(parse_phases(R"({"phases":[{"name":"a","seconds":1,"requests_per_s":1,"mix":{"x":1},"max_tokens":1.5}]})", "p"));
  const auto unknown = parse_phases(R"({"phases":[{"name":"a","second":1}]})", "p");
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().message.find("phases[0].second"), std::string::npos);
}

TEST(Arrivals, SameSeedGivesTheSameRequestsAndAnotherSeedOthers) {
  const std::vector<Phase> phases{{"hot", 30, 5, {{"code", 1}, {"math", 1}}, 16}};
  const auto first = plan_arrivals(phases, two_sets(), 7);
  const auto second = plan_arrivals(phases, two_sets(), 7);
  const auto other = plan_arrivals(phases, two_sets(), 8);
  ASSERT_TRUE(first && second && other);
  ASSERT_EQ(first->size(), second->size());
  for (std::size_t i = 0; i < first->size(); ++i) {
    EXPECT_EQ((*first)[i].at, (*second)[i].at);
    EXPECT_EQ((*first)[i].seed, (*second)[i].seed);
  }
  EXPECT_NE(first->front().at, other->front().at);
}

TEST(Arrivals, CountAndGapsAreThoseOfAPoissonProcess) {
  const auto arrivals = plan_arrivals({{"hot", 1000, 20, {{"code", 1}}, 16}}, two_sets(), 3);
  ASSERT_TRUE(arrivals);
  // 20,000 expected, standard deviation 141: five of them either way.
  EXPECT_NEAR(static_cast<double>(arrivals->size()), 20000, 5 * 141.4);
  double longer_than_mean = 0;
  for (std::size_t i = 1; i < arrivals->size(); ++i)
    if ((*arrivals)[i].at - (*arrivals)[i - 1].at > Milliseconds(50)) ++longer_than_mean;
  EXPECT_NEAR(longer_than_mean / static_cast<double>(arrivals->size()), std::exp(-1), 0.02);
}

TEST(Arrivals, FollowTheMixAndStayInsideTheirPhase) {
  const std::vector<Phase> phases{{"one", 500, 10, {{"code", 3}, {"math", 1}}, 16}, {"silent", 100, 0, {{"code", 1}}, 16},
                                  {"two", 500, 10, {{"math", 1}}, 16}};
  const auto arrivals = plan_arrivals(phases, two_sets(), 11);
  ASSERT_TRUE(arrivals);
  double code = 0;
  double in_first = 0;
  Duration last{};
  for (const Arrival& arrival : *arrivals) {
    EXPECT_GE(arrival.at, last);
    last = arrival.at;
    EXPECT_NE(arrival.phase, 1U);
    EXPECT_LT(arrival.prompt, two_sets()[arrival.set].prompts.size());
    if (arrival.phase == 0) {
      EXPECT_LT(arrival.at, Seconds(500));
      ++in_first;
      code += arrival.set == 0 ? 1 : 0;
    } else {
      EXPECT_GE(arrival.at, Seconds(600));
      EXPECT_EQ(arrival.set, 1U);
    }
  }
  EXPECT_NEAR(code / in_first, 0.75, 0.05);
}

TEST(Arrivals, NameAnUnknownPromptSet) {
  const auto arrivals = plan_arrivals({{"hot", 1, 1, {{"poems", 1}}, 16}}, two_sets(), 1);
  ASSERT_FALSE(arrivals);
  EXPECT_EQ(arrivals.error().code, ErrorCode::kNotFound);
  EXPECT_NE(arrivals.error().message.find("poems"), std::string::npos);
}

TEST(Samples, PercentilesAreNearestRank) {
  Samples samples;
  EXPECT_EQ(samples.percentile(95), 0);
  for (int i = 100; i >= 1; --i) samples.add(i);
  EXPECT_EQ(samples.percentile(0), 1);
  EXPECT_EQ(samples.percentile(50), 50);
  EXPECT_EQ(samples.percentile(95), 95);
  EXPECT_EQ(samples.percentile(99.1), 100);
  EXPECT_EQ(samples.percentile(100), 100);
  EXPECT_DOUBLE_EQ(samples.mean(), 50.5);
  EXPECT_EQ(samples.max(), 100);
}

TEST(Samples, MergedPercentileIsThatOfAllValues) {
  Samples slow;
  Samples fast;
  for (int i = 0; i < 10; ++i) slow.add(1000);
  for (int i = 0; i < 90; ++i) fast.add(1);
  fast.merge(slow);
  EXPECT_EQ(fast.percentile(90), 1);
  EXPECT_EQ(fast.percentile(91), 1000);
}

}  // namespace
}  // namespace flexpert::workload
