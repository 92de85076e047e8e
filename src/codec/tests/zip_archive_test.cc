#include "codec/zip_archive.h"

#include <gtest/gtest.h>

#include "codec/tests/test_file.h"

namespace flexpert::codec {
namespace {

std::string sample() {
  ZipWriter writer;
  EXPECT_TRUE(writer.add("a/one", "first"));
  EXPECT_TRUE(writer.add("a/two", std::string(1000, 'x')));
  EXPECT_TRUE(writer.add("a/none", ""));
  return writer.finish();
}

TEST(ZipArchive, ReadsWhatTheWriterMade) {
  const std::string file = sample();
  const auto archive = ZipArchive::open(file);
  ASSERT_TRUE(archive) << archive.error().message;
  ASSERT_EQ(archive->entries().size(), 3U);
  EXPECT_EQ(*archive->read(*archive->find("a/one")), "first");
  EXPECT_EQ(*archive->read(*archive->find("a/two")), std::string(1000, 'x'));
  EXPECT_EQ(*archive->read(*archive->find("a/none")), "");
  EXPECT_EQ(archive->find("a/three"), nullptr);
  for (const ZipEntry& entry : archive->entries()) EXPECT_EQ(entry.begin % 64, 0U);
}

TEST(ZipArchive, ReadsNumpysDeflatedFiles) {
  const std::string file = fixture("deflated.npz");
  const auto archive = ZipArchive::open(file);
  ASSERT_TRUE(archive) << archive.error().message;
  const auto bytes = archive->read(archive->entries().at(0));
  ASSERT_TRUE(bytes) << bytes.error().message;
  EXPECT_EQ(bytes->size(), 176U);
  EXPECT_TRUE(bytes->starts_with("\x93NUMPY"));
}

TEST(ZipArchive, ReadsPyTorchsZip64Files) {
  const std::string file = fixture("stat_dump.pt");
  const auto archive = ZipArchive::open(file);
  ASSERT_TRUE(archive) << archive.error().message;
  EXPECT_EQ(*archive->read(*archive->find("stat_dump/version")), "3\n");
  EXPECT_EQ(archive->read(*archive->find("stat_dump/data/0"))->size(), 96U);
}

TEST(ZipArchive, EveryTruncationAndTrailingBytesAreErrors) {
  const std::string file = sample();
  for (std::size_t length = 0; length < file.size(); ++length)
    EXPECT_FALSE(ZipArchive::open(std::string_view(file).substr(0, length))) << length;
  EXPECT_FALSE(ZipArchive::open(file + "x"));
}

TEST(ZipArchive, DamagedDataIsFoundByItsChecksum) {
  std::string file = sample();
  file[file.find("first")] = 'F';
  const auto archive = ZipArchive::open(file);
  ASSERT_TRUE(archive);
  EXPECT_EQ(archive->read(*archive->find("a/one")).error().code, ErrorCode::kDataLoss);
}

TEST(ZipArchive, DirectoryAndLocalHeaderMustAgree) {
  std::string file = sample();
  file[file.find("a/one")] = 'b';
  EXPECT_EQ(ZipArchive::open(file).error().message, "zip: local header and directory differ: a/one");
}

TEST(ZipArchive, LimitsAreObeyed) {
  const std::string file = sample();
  EXPECT_EQ(ZipArchive::open(file, {.entries = 2}).error().code, ErrorCode::kResourceExhausted);
  EXPECT_EQ(ZipArchive::open(file, {.entry_bytes = 999}).error().code, ErrorCode::kResourceExhausted);
  EXPECT_EQ(ZipArchive::open(file, {.total_bytes = 1004}).error().code, ErrorCode::kResourceExhausted);
  EXPECT_TRUE(ZipArchive::open(file, {.entries = 3, .entry_bytes = 1000, .total_bytes = 1005}));
}

TEST(ZipArchive, ASizeThatDeflateCannotReachIsRefusedBeforeItIsAllocated) {
  std::string file = fixture("deflated.npz");
  const std::size_t entry = file.rfind("PK\x01\x02");
  file[entry + 24 + 3] = 0x3f;  // unpacked size: over 1 GiB
  file[entry + 24 + 2] = static_cast<char>(0xff);
  EXPECT_EQ(ZipArchive::open(file).error().code, ErrorCode::kDataLoss);
}

TEST(ZipArchive, NamesTwiceAndOverlapsAreErrors) {
  ZipWriter writer;
  ASSERT_TRUE(writer.add("same", "1"));
  ASSERT_TRUE(writer.add("same", "2"));
  EXPECT_EQ(ZipArchive::open(writer.finish()).error().message, "zip: an entry is there twice: same");
  std::string file = sample();
  const std::size_t second = file.rfind("PK\x01\x02", file.rfind("PK\x01\x02") - 1);
  const std::size_t first = file.rfind("PK\x01\x02", second - 1);
  file[first + 20] = file[first + 24] = 80;  // the first entry reaches into the second
  EXPECT_TRUE(ZipArchive::open(file).error().message.starts_with("zip: entries overlap"));
}

}  // namespace
}  // namespace flexpert::codec
