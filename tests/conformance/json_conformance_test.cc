#include <gtest/gtest.h>

#include "conformance/json_cases.h"

namespace flexpert::conformance {
namespace {

TEST(JsonConformance, TheGatewayTakesWhatMustBeTakenAndRefusesWhatMustBeRefused) {
  gateway::RequestScanner scanner;
  int judged = 0;
  for (const JsonCase& json_case : read_json_cases(FLEXPERT_SOURCE_DIR "/data/conformance/json/test_parsing")) {
    const bool taken = gateway_takes(scanner, json_case);
    if (json_case.kind == 'i') continue;
    EXPECT_EQ(taken, json_case.kind == 'y') << json_case.name;
    ++judged;
  }
  EXPECT_EQ(judged, 283);
}

}  // namespace
}  // namespace flexpert::conformance
