#include "auth/access_token.h"

#include <gtest/gtest.h>

namespace flexpert::auth {
namespace {

TEST(AccessTokens, ADigestFindsItsPrincipalAndAnyOtherNobody) {
  const std::string first(64, 'a');
  std::string second = first;
  second.back() = 'b';
  const AccessTokens tokens({{"one", first, {"C"}}, {"two", second, {"D"}}});
  EXPECT_EQ(tokens.identify(first).name, "one");
  EXPECT_EQ(tokens.identify(second).name, "two");
  EXPECT_EQ(tokens.identify(second).groups, std::vector<std::string>{"D"});
  EXPECT_TRUE(tokens.identify(std::string(64, 'c')).anonymous());
  EXPECT_TRUE(tokens.identify(first.substr(1)).anonymous());
  EXPECT_TRUE(tokens.identify("").anonymous());
}

TEST(AccessTokens, EqualityHoldsForEverySinglePositionOfDifference) {
  const std::string digest(64, '7');
  EXPECT_TRUE(equal_in_constant_time(digest, digest));
  for (std::size_t i = 0; i < digest.size(); ++i) {
    std::string other = digest;
    other[i] = '6';
    EXPECT_FALSE(equal_in_constant_time(digest, other)) << i;
  }
}

}  // namespace
}  // namespace flexpert::auth
