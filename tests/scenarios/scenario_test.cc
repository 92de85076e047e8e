// Plays every scenario and compares it with its golden file, which was read by a person.
#include "scenarios/scenario.h"

#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

namespace flexpert::scenarios {

void PrintTo(const Scenario& scenario, std::ostream* out) { *out << scenario.name; }

namespace {

std::string golden(const std::string& name) {
  std::ifstream file(std::string(FLEXPERT_SOURCE_DIR) + "/tests/scenarios/golden/" + name + ".txt");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

class Scenarios : public testing::TestWithParam<Scenario> {};

TEST_P(Scenarios, GoAsTheyWereRead) {
  const auto text = play(GetParam());
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_EQ(*text, golden(GetParam().name))
      << "if this change is meant: build/default/bin/flexpert_scenarios tests/scenarios/golden, and read the difference";
}

INSTANTIATE_TEST_SUITE_P(Golden, Scenarios, testing::ValuesIn(all_scenarios()), [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace flexpert::scenarios
