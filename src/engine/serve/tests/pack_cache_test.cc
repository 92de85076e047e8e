#include "engine/serve/pack_cache.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "engine/kernels/kernels.h"

namespace flexpert::engine {
namespace {

namespace fs = std::filesystem;

class PackCacheTest : public testing::Test {
 protected:
  PackCacheTest() : folder_(fs::path(testing::TempDir()) / fmt::format("flexpert_pack_cache_{}", ::getpid())) {
    auto checkpoint = Checkpoint::open(FLEXPERT_SOURCE_DIR "/models/flexpert-tiny-moe");
    EXPECT_TRUE(checkpoint) << checkpoint.error().message;
    checkpoint_ = *checkpoint;
  }
  ~PackCacheTest() override { fs::remove_all(folder_); }

  [[nodiscard]] std::string cached() const { return cached_pack_path(*checkpoint_, folder_.string()); }
  [[nodiscard]] std::size_t files() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }

  fs::path folder_;
  std::shared_ptr<const Checkpoint> checkpoint_;
};

TEST_F(PackCacheTest, PacksOnceAndReusesThePack) {
  const auto first = open_pack(*checkpoint_, "", folder_.string());
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ((*first)->model_fingerprint(), checkpoint_->fingerprint());
  EXPECT_EQ(files(), 1U) << "no temporary file stays";
  const auto written = fs::last_write_time(cached());
  ASSERT_TRUE(open_pack(*checkpoint_, "", folder_.string()));
  EXPECT_EQ(fs::last_write_time(cached()), written);
}

TEST_F(PackCacheTest, PacksAnewWhatIsDamaged) {
  fs::create_directories(folder_);
  std::ofstream(cached()) << "not a pack";
  const auto pack = open_pack(*checkpoint_, "", folder_.string());
  ASSERT_TRUE(pack) << pack.error().message;
  EXPECT_TRUE((*pack)->verify());
  EXPECT_EQ(files(), 1U);
}

TEST_F(PackCacheTest, NamesTheWeightsAndTheKernels) {
  EXPECT_NE(cached().find(checkpoint_->fingerprint()), std::string::npos);
  EXPECT_TRUE(cached().ends_with(".pack"));
  EXPECT_GT(fs::path(cached()).filename().string().size(), checkpoint_->fingerprint().size() + kernel_identity().size());
}

TEST_F(PackCacheTest, RefusesANamedPackThatIsMissing) {
  const auto pack = open_pack(*checkpoint_, (folder_ / "nowhere.pack").string(), "");
  ASSERT_FALSE(pack);
  EXPECT_NE(pack.error().message.find("nowhere.pack"), std::string::npos);
}

TEST_F(PackCacheTest, SaysWhenTheCacheCannotBeMade) {
  fs::create_directories(folder_);
  std::ofstream(folder_ / "file") << "x";
  const auto pack = open_pack(*checkpoint_, "", (folder_ / "file").string());
  ASSERT_FALSE(pack);
  EXPECT_NE(pack.error().message.find("cache folder"), std::string::npos) << pack.error().message;
}

}  // namespace
}  // namespace flexpert::engine
