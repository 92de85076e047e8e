// `flexpert place` as people use it: every verb on files, inline JSON and stdout.
#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "integration/place_files.h"

namespace flexpert::integration {
namespace {

namespace json = boost::json;

json::object object_of(const std::string& text) {
  boost::system::error_code error;
  json::value value = json::parse(text, error);
  EXPECT_FALSE(error) << text;
  return value.is_object() ? value.get_object() : json::object();
}

double number(const json::value& value) { return value.to_number<double>(); }

TEST(PlaceVerbs, PlanWritesAPlanAReportAndATable) {
  const PlaceFiles files;
  const Finished done =
      place({"plan", files.loads, "--devices", "4", "--nodes", "2", "-o", files.at("plan.json"), "--html", files.at("report.html")});
  ASSERT_EQ(done.exit_code, 0) << done.output;
  for (const char* part :
       {"4 GPUs on 2 nodes, 5 slots each", "balancedness, mean of layers", "proven bound", "experts in order", "mode quality"})
    EXPECT_NE(done.output.find(part), std::string::npos) << part << "\n" << done.output;
  const std::string html = read_file(files.at("report.html"));
  EXPECT_NE(html.find("<canvas id=\"gpus-after\""), std::string::npos);
  EXPECT_EQ(html.find("http"), html.find("http-equiv"));  // nothing is fetched
  const Finished worth = place({"evaluate", files.at("plan.json"), files.loads, "--json"});
  ASSERT_EQ(worth.exit_code, 0) << worth.output;
  EXPECT_GT(number(object_of(worth.output).at("balance").at("balancedness")), 0.95);
}

TEST(PlaceVerbs, ExactModeGivesDeepSeeksGoldenCase) {
  const Finished done = place({"plan", kGoldenCounts, "--mode", "exact", "--devices", "8", "--nodes", "2", "--groups", "4", "--slots", "2",
                               "-o", "-", "--format", "sglang"});
  ASSERT_EQ(done.exit_code, 0) << done.output;
  EXPECT_EQ(done.output, "{\"physical_to_logical_map\":[[5,6,5,7,8,4,3,4,10,9,10,2,0,1,11,1],[7,10,6,8,6,11,8,9,2,4,5,1,5,0,3,1]]}\n");
}

TEST(PlaceVerbs, IncrementalPlansKeepTheBudget) {
  const PlaceFiles files;
  ASSERT_EQ(place({"plan", files.loads, "--devices", "4", "-o", files.at("plan.json")}).exit_code, 0);
  const Finished done =
      place({"plan", files.later, "--current", files.at("plan.json"), "--max-moves", "3", "-o", files.at("next.json"), "--json"});
  ASSERT_EQ(done.exit_code, 0) << done.output;
  const json::object plan = object_of(done.output);
  EXPECT_EQ(plan.at("mode").as_string(), "incremental");
  EXPECT_LE(number(plan.at("moves").at("changed")), 3);
  EXPECT_GE(number(plan.at("balance").at("balancedness")), number(plan.at("before").at("balance").at("balancedness")));
  const Finished moved = place({"diff", files.at("plan.json"), files.at("next.json"), "--json", "--bytes-per-expert", "1KiB"});
  ASSERT_EQ(moved.exit_code, 0) << moved.output;
  const json::object moves = object_of(moved.output);
  EXPECT_EQ(moves.at("moves").as_array().size(), static_cast<std::size_t>(number(moves.at("changed"))));
  EXPECT_EQ(number(moves.at("changed")), number(plan.at("moves").at("changed")));
}

TEST(PlaceVerbs, AGainBelowTheLeastKeepsTheLayoutInForce) {
  const PlaceFiles files;
  ASSERT_EQ(place({"plan", files.loads, "--devices", "4", "-o", files.at("plan.json")}).exit_code, 0);
  const Finished done = place({"plan", files.later, "--current", files.at("plan.json"), "--least-gain", "0.99", "--json"});
  ASSERT_EQ(done.exit_code, 0) << done.output;
  EXPECT_FALSE(object_of(done.output).at("worthwhile").as_bool());
  EXPECT_EQ(number(object_of(done.output).at("moves").at("changed")), 0);
}

TEST(PlaceVerbs, AtSmallBatchesImbalanceIsFreeAndNothingMoves) {
  const PlaceFiles files;
  ASSERT_EQ(place({"plan", files.loads, "--devices", "4", "-o", files.at("plan.json")}).exit_code, 0);
  const std::string cost = files.write("cost.csv", "ep_size,tokens_per_device,ms\n4,1,1\n4,64,1\n4,1024,8\n");
  const auto plan = [&](const char* tokens) {
    const Finished done =
        place({"plan", files.later, "--current", files.at("plan.json"), "--cost", cost, "--tokens-per-device", tokens, "--json"});
    EXPECT_EQ(done.exit_code, 0) << done.output;
    return object_of(done.output).at("worthwhile").as_bool();
  };
  EXPECT_FALSE(plan("4"));
  EXPECT_TRUE(plan("512"));
}

TEST(PlaceVerbs, RobustPlansServeSeveralLoadsAndUnlikeDevices) {
  const PlaceFiles files;
  const Finished done = place({"plan", files.loads, "--case", "later=" + files.later + ":3", "--devices", "4", "--hosts", "2", "--speeds",
                               "3:0.5", "--objective", "worst", "--json"});
  ASSERT_EQ(done.exit_code, 0) << done.output;
  const json::object cases = object_of(done.output).at("cases").as_object();
  EXPECT_EQ(cases.size(), 2U);
  EXPECT_GT(number(cases.at("later").at("balancedness")), 0.5);
}

TEST(PlaceVerbs, TheWindowsOfARecordingAreLoadsOfTheirOwn) {
  const std::string windows = "{\"logical_count\": [[[9,1,1,1]],[[1,9,1,1]],[[1,1,9,1]]]}";
  const Finished done = place({"plan", windows, "--devices", "2", "--each-window", "--objective", "worst", "--json"});
  ASSERT_EQ(done.exit_code, 0) << done.output;
  EXPECT_EQ(object_of(done.output).at("cases").as_object().size(), 3U) << done.output;
}

TEST(PlaceVerbs, DeadDevicesStayEmptyAndTheirExpertsAreNamed) {
  const PlaceFiles files;
  ASSERT_EQ(place({"plan", files.loads, "--devices", "4", "-o", files.at("plan.json")}).exit_code, 0);
  const Finished before = place({"evaluate", files.at("plan.json"), files.loads, "--dead", "2", "--json"});
  ASSERT_EQ(before.exit_code, 0) << before.output;
  EXPECT_FALSE(object_of(before.output).at("unserved").as_array().empty());
  const Finished done =
      place({"plan", files.loads, "--current", files.at("plan.json"), "--dead", "2", "--slots", "6", "--devices", "4", "--json"});
  EXPECT_EQ(done.exit_code, 1) << "the layout in force has other slots";
  const Finished fresh = place({"plan", files.loads, "--devices", "4", "--dead", "2", "-o", files.at("alive.json")});
  ASSERT_EQ(fresh.exit_code, 0) << fresh.output;
  const Finished after = place({"evaluate", files.at("alive.json"), files.loads, "--json"});
  EXPECT_TRUE(object_of(after.output).at("unserved").as_array().empty()) << after.output;
}

TEST(PlaceVerbs, SizeSaysHowManySlotsATargetNeeds) {
  const PlaceFiles files;
  const Finished done = place({"size", files.loads, "--devices", "4", "--target", "0.9", "--json", "-o", files.at("sized.json")});
  ASSERT_EQ(done.exit_code, 0) << done.output;
  const json::object sizing = object_of(done.output);
  EXPECT_TRUE(sizing.at("reached").as_bool());
  EXPECT_GE(number(sizing.at("balancedness")), 0.9);
  EXPECT_LE(number(sizing.at("redundant_slots")), number(sizing.at("uniform_slots")));
  const Finished worth = place({"evaluate", files.at("sized.json"), files.loads, "--json"});
  EXPECT_NEAR(number(object_of(worth.output).at("balance").at("balancedness")), number(sizing.at("balancedness")), 1e-9) << worth.output;
}

TEST(PlaceVerbs, ExplainReadsTheCountsThatThePlanNames) {
  const PlaceFiles files;
  ASSERT_EQ(place({"plan", files.loads, "--devices", "4", "-o", files.at("plan.json")}).exit_code, 0);
  const Finished done = place({"explain", files.at("plan.json"), "--layer", "1", "--expert", "7"});
  ASSERT_EQ(done.exit_code, 0) << done.output;
  EXPECT_NE(done.output.find("expert 7 of layer 1"), std::string::npos) << done.output;
  files.write("loads.json", read_file(files.later));
  const Finished changed = place({"explain", files.at("plan.json"), "--layer", "1", "--expert", "7"});
  EXPECT_EQ(changed.exit_code, 1);
  EXPECT_NE(changed.output.find("--counts"), std::string::npos) << changed.output;
  EXPECT_EQ(place({"explain", files.at("plan.json"), "--counts", files.later, "--layer", "1", "--expert", "7"}).exit_code, 0);
}

TEST(PlaceVerbs, ReplayPrintsWindowsTopicsAndTheFiguresTogether) {
  const PlaceFiles files;
  const Finished done =
      place({"replay", files.routing(), "--devices", "2", "--window", "64", "--concurrent", "4", "-o", files.at("windows.csv")});
  ASSERT_EQ(done.exit_code, 0) << done.output;
  for (const char* part : {"steady windows:", "ideal split", "worst topic's mean:", "changes of topic: 1", "of re-planning every window",
                           "below no balancing", "alpha", "beta"})
    EXPECT_NE(done.output.find(part), std::string::npos) << part << "\n" << done.output;
  EXPECT_EQ(read_file(files.at("windows.csv")).find("window,topic,tokens"), 0U);
  const Finished figures = place({"replay", files.routing(), "--devices", "2", "--window", "64", "--concurrent", "4", "--json"});
  EXPECT_EQ(object_of(figures.output).at("topics").as_array().size(), 2U) << figures.output;
}

}  // namespace
}  // namespace flexpert::integration
