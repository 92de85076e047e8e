#include "codec/gzip.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace flexpert::codec {
namespace {

constexpr std::size_t kEnough = std::size_t{1} << 24;

std::string noise(std::size_t bytes) {
  Rng rng(7);
  std::string text(bytes, '\0');
  for (char& c : text) c = static_cast<char>(rng.next() % 23 + 'a');
  return text;
}

TEST(Gzip, GivesBackWhatWasCompressed) {
  for (const std::size_t size : {0, 1, 65'535, 65'536, 65'537, 400'000}) {
    const std::string text = noise(size);
    const auto file = gzip(text);
    ASSERT_TRUE(file);
    EXPECT_TRUE(is_gzip(*file));
    const auto back = gunzip(*file, size);
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(*back, text);
  }
}

TEST(Gzip, MembersFollowEachOther) {
  const auto back = gunzip(*gzip("one") + *gzip("") + *gzip(" two"), kEnough);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(*back, "one two");
}

TEST(Gzip, RefusesMoreThanAllowed) {
  const std::string file = *gzip(std::string(1'000'000, 'x'));
  EXPECT_EQ(gunzip(file, 999'999).error().code, ErrorCode::kResourceExhausted);
  EXPECT_TRUE(gunzip(file, 1'000'000));
  EXPECT_TRUE(gunzip(file, SIZE_MAX));
  EXPECT_EQ(gunzip(file, 0).error().code, ErrorCode::kResourceExhausted);
}

TEST(Gzip, EveryTruncationIsAnError) {
  const std::string file = *gzip(noise(300));
  for (std::size_t length = 0; length < file.size(); ++length)
    EXPECT_FALSE(gunzip(std::string_view(file).substr(0, length), kEnough)) << length;
}

TEST(Gzip, EveryDamagedChecksumByteIsAnError) {
  const std::string file = *gzip(noise(300));
  for (std::size_t at = file.size() - 8; at < file.size(); ++at) {
    std::string damaged = file;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    EXPECT_EQ(gunzip(damaged, kEnough).error().code, ErrorCode::kDataLoss);
  }
}

TEST(Gzip, TrailingBytesAndOtherFilesAreErrors) {
  EXPECT_EQ(gunzip(*gzip("x") + "tail", kEnough).error().code, ErrorCode::kDataLoss);
  EXPECT_EQ(gunzip("plain text", kEnough).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(gunzip("", kEnough).error().code, ErrorCode::kInvalidArgument);
}

TEST(Gzip, RawDeflateHasExactlyTheBytesAnnounced) {
  const std::string text = noise(5000);
  const std::string file = *gzip(text);
  const std::string raw = file.substr(10, file.size() - 18);  // without gzip's header, checksum and length
  ASSERT_TRUE(inflate_raw(raw, 5000));
  EXPECT_EQ(*inflate_raw(raw, 5000), text);
  EXPECT_FALSE(inflate_raw(raw, 4999));
  EXPECT_FALSE(inflate_raw(raw, 5001));
  EXPECT_FALSE(inflate_raw(raw + "x", 5000));
  EXPECT_FALSE(inflate_raw(raw.substr(0, raw.size() - 1), 5000));
}

}  // namespace
}  // namespace flexpert::codec
