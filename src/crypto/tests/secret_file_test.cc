#include "crypto/secret_file.h"

#include <filesystem>
#include <fstream>

#include <sys/stat.h>

#include <gtest/gtest.h>

namespace flexpert::crypto {
namespace {

class SecretFile : public testing::Test {
 protected:
  SecretFile() {
    std::string name = (std::filesystem::temp_directory_path() / "flexpert-secret-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  ~SecretFile() override { std::filesystem::remove_all(folder_); }
  [[nodiscard]] std::string path(const std::string& name = "secret") const { return folder_ + "/" + name; }
  void put(const std::string& text, int mode = 0600) const {
    std::ofstream(path(), std::ios::binary) << text;
    ::chmod(path().c_str(), static_cast<mode_t>(mode));
  }
  [[nodiscard]] std::string error() const {
    const auto read = read_secret_file(path());
    return read ? "" : read.error().message.substr(0, read.error().message.find(": "));
  }

  std::string folder_;
};

TEST_F(SecretFile, IsMadeOnceForItsOwnerAlone) {
  ASSERT_TRUE(ensure_secret_file(path()));
  const auto secret = read_secret_file(path());
  ASSERT_TRUE(secret);
  EXPECT_EQ(secret->size(), 43U);
  struct stat status {};
  ASSERT_EQ(::stat(path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  ASSERT_TRUE(ensure_secret_file(path()));
  EXPECT_EQ(*read_secret_file(path()), *secret);
  ASSERT_TRUE(ensure_secret_file(path("other")));
  EXPECT_NE(*read_secret_file(path("other")), *secret);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 2) << "nothing is left beside them";
}

TEST_F(SecretFile, IsRefusedIfOthersCanReadItOrItIsNoSecret) {
  const std::string good(32, 'x');
  put(good + "\n");
  EXPECT_EQ(*read_secret_file(path()), good);
  put(good + "\r\n", 0640);
  EXPECT_EQ(*read_secret_file(path()), good);
  put(good, 0644);
  EXPECT_EQ(error(), "secret file is open to others (mode 644); chmod 600 it");
  EXPECT_FALSE(ensure_secret_file(path()));
  put(good, 0660);
  EXPECT_EQ(error(), "secret file is open to others (mode 660); chmod 600 it");
  put("short\n", 0600);
  EXPECT_EQ(error(), "secret file has a secret of 5 bytes; 32 are needed");
  put(good + "\n" + good + "\n");
  EXPECT_EQ(error(), "secret file has more than one line of text");
  put(std::string(5000, 'x'));
  EXPECT_EQ(error(), "secret file is longer than 4096 bytes");
}

TEST_F(SecretFile, MissingFilesAndFoldersAreNamed) {
  EXPECT_EQ(read_secret_file(path()).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(read_secret_file(folder_).error().code, ErrorCode::kFailedPrecondition);
  const auto made = ensure_secret_file(path("no/such/folder"));
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().message.find("cannot be made (No such file or directory)"), std::string::npos);
}

}  // namespace
}  // namespace flexpert::crypto
