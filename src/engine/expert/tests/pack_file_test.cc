#include "engine/expert/pack_file.h"

#include <cstring>
#include <fstream>

#include "engine/expert/pack_format.h"
#include "engine/kernels/kernels.h"
#include "engine/expert/pack_writer.h"
#include "engine/expert/tests/expert_fixture.h"

#include <xxhash.h>

namespace flexpert::engine {
namespace {

using testing::make_pack;
using testing::small_shape;
using testing::TemporaryFolder;

class PackFileTest : public ::testing::Test {
 protected:
  PackFileTest() { make_pack(path_); }

  std::string bytes() {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void replace(const std::string& bytes) { std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes; }
  /// Changes the header and makes its hash right again.
  void edit_header(const std::function<void(pack::Header&)>& edit) {
    std::string all = bytes();
    pack::Header header;
    std::memcpy(&header, all.data(), sizeof header);
    edit(header);
    header.header_hash = XXH3_64bits(&header, offsetof(pack::Header, header_hash));
    std::memcpy(all.data(), &header, sizeof header);
    replace(all);
  }
  /// Expects open() to fail with a message that has `part` and tells how to make a pack.
  void expect_refused(const std::string& part) {
    const auto opened = PackFile::open(path_);
    ASSERT_FALSE(opened);
    EXPECT_NE(opened.error().message.find(part), std::string::npos) << opened.error().message;
    EXPECT_NE(opened.error().message.find("make it anew with: flexpert pack"), std::string::npos) << opened.error().message;
    EXPECT_NE(opened.error().message.find(path_), std::string::npos) << opened.error().message;
  }

  TemporaryFolder folder_;
  std::string path_ = folder_.file("experts.pack");
};

TEST_F(PackFileTest, HoldsWhatWasPacked) {
  const auto pack = PackFile::open(path_);
  ASSERT_TRUE(pack) << pack.error().message;
  EXPECT_EQ((*pack)->geometry(), (ExpertGeometry{2, 8}));
  EXPECT_EQ((*pack)->hidden_size(), 64U);
  EXPECT_EQ((*pack)->intermediate_size(), 48U);
  EXPECT_EQ((*pack)->model_fingerprint(), seeded_fingerprint(small_shape()));
  const ExpertWeights* weights = (*pack)->expert({1, 7});
  ASSERT_NE(weights, nullptr);
  EXPECT_EQ(weights->down.outputs, 64U);
  for (const PackedMatrix* matrix : {&weights->gate, &weights->up, &weights->down})
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(matrix->data) % 64, 0U);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(weights->gate.data) % 4096, 0U);
  EXPECT_EQ((*pack)->expert({2, 0}), nullptr);
  EXPECT_EQ((*pack)->expert({0, 8}), nullptr);
  EXPECT_TRUE((*pack)->verify());
}

TEST_F(PackFileTest, ADamagedExpertIsFoundByVerify) {
  std::string all = bytes();
  all[all.size() / 2] ^= 1;
  replace(all);
  const auto pack = PackFile::open(path_);
  ASSERT_TRUE(pack) << pack.error().message;
  const auto verified = (*pack)->verify();
  ASSERT_FALSE(verified);
  EXPECT_EQ(verified.error().code, ErrorCode::kDataLoss);
  EXPECT_NE(verified.error().message.find("layer"), std::string::npos);
}

TEST_F(PackFileTest, ATruncatedFileIsRefused) {
  const std::string all = bytes();
  replace(all.substr(0, all.size() - 4096));
  expect_refused("where the header says");
  replace(all.substr(0, 100));
  expect_refused("too short for a header");
  replace("");
  expect_refused("too short for a header");
}

TEST_F(PackFileTest, AForeignFileIsRefused) {
  replace(std::string(10000, 'x'));
  expect_refused("not a pack file");
}

TEST_F(PackFileTest, AMissingFileIsRefused) {
  std::filesystem::remove(path_);
  expect_refused("cannot open");
}

TEST_F(PackFileTest, AnotherVersionIsRefused) {
  edit_header([](pack::Header& header) { header.version = 99; });
  expect_refused("version 99");
}

TEST_F(PackFileTest, AnotherKernelIdentityIsRefused) {
  edit_header([](pack::Header& header) { std::strcpy(header.kernel_identity, "other-kernels"); });
  expect_refused("other-kernels");
}

TEST_F(PackFileTest, ADamagedHeaderOrTableIsRefused) {
  std::string all = bytes();
  all[40] ^= 1;
  replace(all);
  expect_refused("the header is damaged");
  all[40] ^= 1;
  all[4096 + 5] ^= 1;
  replace(all);
  expect_refused("the table is damaged");
}

TEST_F(PackFileTest, SizesOutOfRangeAreRefused) {
  edit_header([](pack::Header& header) { header.hidden = 0; });
  expect_refused("out of range");
  edit_header([](pack::Header& header) { header.hidden = 64, header.layers = 60000, header.experts = 60000; });
  expect_refused("past its end");
}

TEST_F(PackFileTest, EntriesOutOfBoundsAreRefused) {
  const std::string good = bytes();
  const auto with_first_entry = [&](std::uint64_t offset, std::uint64_t size) {
    std::string all = good;
    pack::Entry entry;
    std::memcpy(&entry, all.data() + 4096, sizeof entry);
    entry.offset = offset;
    entry.bytes = size;
    std::memcpy(all.data() + 4096, &entry, sizeof entry);
    replace(all);
    edit_header([&](pack::Header& header) { header.table_hash = XXH3_64bits(all.data() + 4096, 16 * sizeof(pack::Entry)); });
    expect_refused("entry 0 is out of bounds");
  };
  const std::uint64_t size = pack::layout_of(WeightType::kBF16, 64, 48).bytes;
  with_first_entry(good.size(), size);
  with_first_entry(UINT64_MAX - 4095, size);
  with_first_entry(8192 + 8, size);
  with_first_entry(0, size);
  with_first_entry(8192, size + 4096);
}

TEST_F(PackFileTest, AnInterruptedWriterLeavesTheOldFile) {
  const std::string before = bytes();
  {
    auto writer = PackWriter::create(path_, {.model_fingerprint = "f", .geometry = {1, 1}, .hidden = 16, .intermediate = 16});
    ASSERT_TRUE(writer) << writer.error().message;
    EXPECT_FALSE(PackWriter::create(path_, {.model_fingerprint = "f", .geometry = {1, 1}, .hidden = 16, .intermediate = 16}));
  }
  EXPECT_EQ(bytes(), before);
  EXPECT_FALSE(std::filesystem::exists(path_ + ".tmp"));
}

TEST_F(PackFileTest, AnOpenPackOutlivesItsReplacement) {
  const auto old = PackFile::open(path_);
  ASSERT_TRUE(old);
  make_pack(path_, small_shape(2));
  EXPECT_TRUE((*old)->verify());
  EXPECT_EQ((*old)->model_fingerprint(), seeded_fingerprint(small_shape(1)));
  EXPECT_EQ(PackFile::open(path_).value()->model_fingerprint(), seeded_fingerprint(small_shape(2)));
}

TEST(WritePack, PacksTheShippedModel) {
  const auto checkpoint = Checkpoint::open(std::string(FLEXPERT_SOURCE_DIR) + "/models/flexpert-tiny-moe");
  ASSERT_TRUE(checkpoint) << checkpoint.error().message;
  const TemporaryFolder folder;
  std::size_t last = 0;
  const auto written = write_pack(**checkpoint, folder.file("tiny.pack"), [&](std::size_t done, std::size_t total) {
    EXPECT_EQ(done, last + 1);
    EXPECT_EQ(total, 192U);
    last = done;
  });
  ASSERT_TRUE(written) << written.error().message;
  EXPECT_EQ(last, 192U);
  const auto pack = PackFile::open(folder.file("tiny.pack"));
  ASSERT_TRUE(pack) << pack.error().message;
  EXPECT_EQ((*pack)->model_fingerprint(), (*checkpoint)->fingerprint());
  EXPECT_TRUE((*pack)->verify());
}

}  // namespace
}  // namespace flexpert::engine
