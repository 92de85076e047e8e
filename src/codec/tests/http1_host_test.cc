#include <gtest/gtest.h>

#include "codec/http1.h"

namespace flexpert::codec {
namespace {

TEST(Http1Host, TakesNamesAndAddressesWithAndWithoutAPort) {
  for (const char* host : {"a", "gateway.test", "a_b.c-d", "127.0.0.1", "127.0.0.1:9000", "a:0", "a:65535", "[::1]", "[::1]:80", "[fe80::1]", "[::ffff:1.2.3.4]:443"})
    EXPECT_TRUE(http1_is_host(host)) << host;
}

TEST(Http1Host, RefusesWhatCouldBeReadInTwoWays) {
  for (const char* host : {"", ":", ":80", "a:", "a:b", "a:99999", "a:-1", "a:80:80", "a b", "a@b", "a/b", "a,b", "[::1", "::1", "[]", "[:]x", "[::1]x", "[::1]:", "[abc]", "a]", "[a::g]", "a\\b"})
    EXPECT_FALSE(http1_is_host(host)) << host;
}

}  // namespace
}  // namespace flexpert::codec
