#include "config/file_watch.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

namespace flexpert::config {
namespace {

class FileWatchTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "flexpert-watch-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    dir_ = pattern;
    path_ = dir_ + "/file";
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  void write(const std::string& path, const std::string& text) const { std::ofstream(path) << text; }

  std::string dir_;
  std::string path_;
};

TEST_F(FileWatchTest, AFileThatComesChangesAndGoesIsToldOnceEach) {
  FileWatch watch({path_, ""});
  EXPECT_FALSE(watch.changed());
  write(path_, "a");
  EXPECT_TRUE(watch.changed());
  EXPECT_FALSE(watch.changed());
  write(path_, "bb");
  EXPECT_TRUE(watch.changed());
  std::filesystem::remove(path_);
  EXPECT_TRUE(watch.changed());
  EXPECT_FALSE(watch.changed());
}

TEST_F(FileWatchTest, AFileThatIsReplacedByOneOfTheSameSizeAndTimeIsTold) {
  write(path_, "a");
  write(path_ + ".new", "b");
  std::filesystem::last_write_time(path_ + ".new", std::filesystem::last_write_time(path_));
  FileWatch watch({path_});
  std::filesystem::rename(path_ + ".new", path_);
  EXPECT_TRUE(watch.changed());
}

TEST_F(FileWatchTest, WhatASymlinkPointsToIsWatchedAsKubernetesSwapsIt) {
  std::filesystem::create_directories(dir_ + "/1");
  std::filesystem::create_directories(dir_ + "/2");
  write(dir_ + "/1/file", "a");
  write(dir_ + "/2/file", "a");
  std::filesystem::create_directory_symlink(dir_ + "/1", dir_ + "/now");
  FileWatch watch({dir_ + "/now/file"});
  std::filesystem::create_directory_symlink(dir_ + "/2", dir_ + "/next");
  std::filesystem::rename(dir_ + "/next", dir_ + "/now");
  EXPECT_TRUE(watch.changed());
}

TEST_F(FileWatchTest, ASettledWatchWaitsUntilTheFileIsStill) {
  SettledFileWatch watch({path_});
  write(path_, "half");
  EXPECT_FALSE(watch.changed());
  write(path_, "half and half");
  EXPECT_FALSE(watch.changed());
  EXPECT_TRUE(watch.changed());
  EXPECT_FALSE(watch.changed());
}

}  // namespace
}  // namespace flexpert::config
