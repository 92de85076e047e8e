// Wrong input to `flexpert place`: an exit code, one line, and in it the option, layer or slot at fault.
#include <algorithm>

#include <gtest/gtest.h>

#include "integration/place_files.h"

namespace flexpert::integration {
namespace {

constexpr const char* kCounts = "{\"logical_count\": [[10,20,30,40],[40,30,20,10]]}";

struct Wrong {
  int exit_code;
  std::vector<std::string> arguments;
  std::string says;
};

void expect_all(const std::vector<Wrong>& all) {
  for (const Wrong& wrong : all) {
    const Finished done = place(wrong.arguments);
    EXPECT_EQ(done.exit_code, wrong.exit_code) << done.output;
    EXPECT_NE(done.output.find(wrong.says), std::string::npos) << "wanted: " << wrong.says << "\n" << done.output;
    EXPECT_EQ(std::count(done.output.begin(), done.output.end(), '\n'), 1) << done.output;
  }
}

TEST(PlaceMisuse, TheCommandLineAloneExitsTwo) {
  expect_all({{2, {}, "place --help"},
              {2, {"nonsense"}, "no verb \"nonsense\""},
              {2, {"plan"}, "counts is required"},
              {2, {"plan", kCounts, "--devices", "x"}, "--devices: needs a whole number"},
              {2, {"plan", kCounts, "--mode", "best"}, "needs one of quality, exact"},
              {2, {"plan", kCounts, "--mode", "incremental"}, "--current LAYOUT"},
              {2, {"plan", kCounts, "--max-moves", "3"}, "--current LAYOUT"},
              {2, {"plan", kCounts, "--current", "x", "--max-bytes", "4QB"}, "--max-bytes: needs bytes"},
              {2, {"plan", kCounts, "--current", "x", "--max-bytes", "4MB"}, "--bytes-per-expert"},
              {2, {"plan", kCounts, "--current", "x", "--cost", "deepseek-v3-decode"}, "--tokens-per-device"},
              {2, {"plan", kCounts, "--mode", "exact", "--speeds", "1,2"}, "--mode robust"},
              {2, {"plan", kCounts, "--case", "decode"}, "NAME=FILE"},
              {2, {"plan", kCounts, "--each-window", "--mode", "quality"}, "--mode robust or semi"},
              {2, {"plan", kCounts, "--dead", "1,,2"}, "--dead"},
              {2, {"plan", kCounts, "--json", "-o", "-"}, "give one of them"},
              {2, {"plan", kCounts, "--mode", "semi"}, "--groups N"},
              {2, {"convert", kCounts, "out"}, "--to FORMAT is needed"},
              {2, {"size", kCounts}, "--devices is required"},
              {2, {"explain", "plan.json", "--layer", "1"}, "--expert is required"}});
}

TEST(PlaceMisuse, AClusterThatDoesNotFitNamesTheOption) {
  expect_all({{1, {"plan", kCounts}, "--devices N is needed"},
              {1, {"plan", kCounts, "--devices", "3", "--slots", "1"}, "3 living slots are too few for 4 experts"},
              {1, {"plan", kCounts, "--devices", "2", "--redundant", "1"}, "0 or 2 would"},
              {1, {"plan", kCounts, "--devices", "2", "--redundant", "2", "--slots", "3"}, "give one of them"},
              {1, {"plan", kCounts, "--devices", "2", "--nodes", "3"}, "--nodes 3"},
              {1, {"plan", kCounts, "--devices", "2", "--dead", "2"}, "the devices are 0 to 1"},
              {1, {"plan", kCounts, "--devices", "2", "--dead", "0,1"}, "too few"},
              {1, {"plan", kCounts, "--devices", "2", "--speeds", "1,2,3"}, "--speeds names 3 devices"},
              {1, {"plan", kCounts, "--devices", "2", "--device-slots", "2,2,2"}, "--device-slots names 3"},
              {1, {"plan", kCounts, "--devices", "60000", "--slots", "1048576"}, "slots"},
              {1, {"plan", kCounts, "--devices", "2", "--mode", "exact", "--groups", "3"}, "groups"}});
}

TEST(PlaceMisuse, CountsAreCheckedAndTheSourceIsNamed) {
  const PlaceFiles files;
  expect_all(
      {{1, {"plan", "{\"logical_count\": [[1,2],[3]]}", "--devices", "2"}, "logical_count[1]: ragged"},
       {1, {"plan", "{\"logical_count\": [[1,-2],[3,4]]}", "--devices", "2"}, "layer 0 expert 1"},
       {1, {"plan", "{\"logical_count\": 5", "--devices", "2"}, "inline JSON"},
       {1, {"plan", "{}", "--devices", "2"}, "logical_count"},
       {1, {"plan", "/nonexistent", "--devices", "2"}, "/nonexistent"},
       {1, {"plan", files.folder.path(), "--devices", "2"}, "is a folder"},
       {1, {"plan", files.write("empty", ""), "--devices", "2"}, "is empty"},
       {1, {"plan", files.write("noise", std::string("\x01\0\xff", 3)), "--devices", "2"}, "neither JSON, CSV"},
       {1, {"plan", files.write("x.u8", "abc"), "--devices", "2"}, "--top-k N is needed"},
       {1, {"plan", files.write("x_top2.u8", "abcd"), "--devices", "2"}, "index"},
       {1, {"plan", files.write("bundle.json", "{\"tasks\": {\"law\": {\"logical_count\": [[1,2]]}}}"), "--devices", "2"}, "tasks.law"},
       {1, {"plan", "https://engine", "--devices", "2"}, "TLS"},
       {1, {"plan", "http://127.0.0.1:1", "--devices", "2"}, "127.0.0.1:1"},
       {1, {"plan", kCounts, "--devices", "2", "-o", files.at("no/such/folder")}, "no/such/folder"},
       {1, {"plan", kCounts, "--devices", "2", "--case", "b={\"logical_count\": [[1,2]]}"}, "--case b has 1 layers"}});
}

TEST(PlaceMisuse, LayoutsAreCheckedByLayerAndSlot) {
  const auto current = [](const std::string& layout) {
    return std::vector<std::string>{"plan", kCounts, "--devices", "2", "--current", layout};
  };
  expect_all({{1, current("{\"physical_to_logical_map\": [[0,1,2,2],[0,1,2,3]]}"), "layer 0: expert 3"},
              {1, current("{\"physical_to_logical_map\": [[0,1,2,9],[0,1,2,3]]}"), "layer 0 slot 3"},
              {1, current("{\"physical_to_logical_map\": [[0,1,2,3]]}"), "different models"},
              {1, current("{\"physical_to_logical_map\": [[0,1,2,3],[0,1,2,3]], \"x\": 1}"), "'x'"},
              {1, current("{\"physical_to_logical_map\": [[0,1,2,3,0],[0,1,2,3,1]]}"), "5"},
              {1, {"evaluate", "{\"physical_to_logical_map\": [[0,1,2,3],[0,1,2,3]]}", kCounts}, "--devices N is needed"},
              {1, {"evaluate", kCounts, kCounts, "--devices", "2"}, "holds counts"},
              {1, {"diff", "[[0,1,2,3]]", "[[0,1,2,3,0,1]]", "--devices", "2"}, "different slots"},
              {1,
               {"explain", "[[0,1,2,3],[3,2,1,0]]", "--devices", "2", "--counts", kCounts, "--layer", "2", "--expert", "0"},
               "layers are 0 to 1"}});
}

TEST(PlaceMisuse, EveryVerbExplainsItselfWithExamples) {
  for (const char* verb : {"plan", "diff", "size", "evaluate", "replay", "convert", "record", "explain"}) {
    const Finished done = place({verb, "--help"});
    EXPECT_EQ(done.exit_code, 0);
    EXPECT_NE(done.output.find(std::string("Examples:\n  flexpert place ") + verb), std::string::npos) << done.output;
  }
}

}  // namespace
}  // namespace flexpert::integration
