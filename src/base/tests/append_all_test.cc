#include "base/append_all.h"

#include <string_view>

#include <gtest/gtest.h>

namespace flexpert {
namespace {

TEST(AppendAll, AppendsExactlyThePiecesWhereverTheCapacityEnds) {
  for (std::size_t already = 0; already < 70; ++already) {
    std::string out(already, 'x');
    out.shrink_to_fit();
    const std::string whole = out + "onetwo, and a longer third one";
    append_all(out, std::string_view("one"), std::string_view(), std::string("two"), std::string_view(", and a longer third one"));
    ASSERT_EQ(out, whole);
  }
}

TEST(AppendAll, NothingIsNothing) {
  std::string out = "as it was";
  append_all(out, std::string_view());
  EXPECT_EQ(out, "as it was");
}

}  // namespace
}  // namespace flexpert
