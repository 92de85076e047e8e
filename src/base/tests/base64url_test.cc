#include "base/base64url.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace flexpert {
namespace {

// RFC 4648, section 10, without padding; the last two have the two digits in which base64url differs.
TEST(Base64url, IsThatOfRfc4648) {
  const std::pair<std::string_view, std::string_view> vectors[] = {{"", ""},         {"f", "Zg"},           {"fo", "Zm8"},          {"foo", "Zm9v"},          {"foob", "Zm9vYg"},
                                                                   {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xfb\xff", "-_8"}, {"\xfb\xff\xfe", "-__-"}};
  for (const auto& [bytes, text] : vectors) {
    EXPECT_EQ(to_base64url(bytes), text);
    EXPECT_EQ(text.size(), base64url_size(bytes.size()));
    EXPECT_EQ(from_base64url(text), bytes);
  }
}

TEST(Base64url, AppendsBehindWhatIsThere) {
  std::string out = "v1.";
  append_base64url(out, "foob");
  EXPECT_EQ(out, "v1.Zm9vYg");
}

TEST(Base64url, TakesEachValueInOneSpellingOnly) {
  for (const char* bad : {"Z", "Zm9vY", "Zg==", "Zh", "Zm9", "Zm9=", "Zm 9", "Zm9v ", "Zm\n9", "Zm+v", "Zm/v", "Zm9v\n", "AB", "?m9v"})
    EXPECT_FALSE(from_base64url(bad)) << bad;
  EXPECT_FALSE(from_base64url(std::string_view("Zm9\0", 4)));
}

TEST(Base64url, GivesBackWhatItWasGiven) {
  Rng rng(7);
  for (std::size_t size = 0; size < 70; ++size) {
    std::string bytes;
    for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>(rng.next());
    EXPECT_EQ(from_base64url(to_base64url(bytes)), bytes);
  }
}

}  // namespace
}  // namespace flexpert
