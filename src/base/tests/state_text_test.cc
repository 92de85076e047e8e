#include "base/state_text.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace flexpert {
namespace {

TEST(StateText, ReadsBackEveryBit) {
  const std::vector<double> values{0.1, -0.0, 1e-310, 1.7976931348623157e308, std::numeric_limits<double>::infinity(), 1.0 / 3};
  StateWriter writer;
  writer.tag("thing/1");
  writer.numbers(values);
  writer.text("two words\nand a line");
  writer.integer(-42);
  writer.number(std::nan(""));
  const std::string text = writer.take();
  StateReader reader(text);
  reader.tag("thing/1");
  const auto read = reader.numbers();
  EXPECT_EQ(read, values);
  EXPECT_TRUE(std::signbit(read[1]));
  EXPECT_EQ(reader.text(), "two words\nand a line");
  EXPECT_EQ(reader.integer(), -42);
  EXPECT_TRUE(std::isnan(reader.number()));
  EXPECT_TRUE(reader.at_end());
  EXPECT_TRUE(reader.result());
}

TEST(StateText, SaysWhatItExpectedWhere) {
  StateReader reader("thing/2\n3 ");
  reader.tag("thing/1");
  EXPECT_EQ(reader.number(), 0);
  ASSERT_FALSE(reader.result());
  EXPECT_EQ(reader.result().error().message, "saved state cannot be read at byte 0: expected \"thing/1\"");
}

TEST(StateText, CountsThatTheTextDoesNotHoldAllocateNothing) {
  for (const char* text : {"99999999999999 1 2 ", "-1 ", "3 1 2 ", "x ", ""}) {
    StateReader reader(text);
    EXPECT_TRUE(reader.numbers().empty()) << text;
    EXPECT_FALSE(reader.ok()) << text;
  }
  StateReader reader("9223372036854775807 abc");
  EXPECT_EQ(reader.text(), "");
  EXPECT_FALSE(reader.ok());
}

}  // namespace
}  // namespace flexpert
