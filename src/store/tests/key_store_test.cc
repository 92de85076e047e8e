#include "store/key_store.h"

#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

#include <gtest/gtest.h>

#include "store/journal.h"

namespace flexpert::store {
namespace {

class KeyStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "flexpert-keys-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    dir_ = pattern;
    path_ = dir_ + "/keys.db";
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  std::unique_ptr<KeyStore> opened() const {
    auto store = KeyStore::open(path_);
    EXPECT_TRUE(store) << store.error().message;
    return std::move(*store);
  }
  static auth::ApiKeyRecord record(const std::string& id, std::int64_t created = 1000) {
    auth::ApiKeyRecord made{.id = id,
                            .digest = {},
                            .name = "the key \"" + id + "\"",
                            .tenant = "Acme, Inc.",
                            .roles = {"user", "premium"},
                            .created_unix_ms = created,
                            .replaced_by = {}};
    for (std::size_t i = 0; i < made.digest.size(); ++i) made.digest[i] = static_cast<std::uint8_t>(i < id.size() ? id[i] : 0);
    return made;
  }
  static auth::ApiKeyRecord only(KeyStore& store, const std::string& id) {
    const auto all = store.all();
    for (const auth::ApiKeyRecord& found : *all)
      if (found.id == id) return found;
    ADD_FAILURE() << "no key " << id;
    return {};
  }

  std::string dir_;
  std::string path_;
};

TEST_F(KeyStoreTest, GivesBackWhatWasAddedOldestFirstAlsoAfterAReopen) {
  auth::ApiKeyRecord full = record("key_b", 2000);
  full.expires_unix_ms = 3000;
  ASSERT_TRUE(opened()->add(full));
  ASSERT_TRUE(opened()->add(record("key_a", 1000)));
  const auto all = opened()->all();
  ASSERT_TRUE(all);
  ASSERT_EQ(all->size(), 2U);
  EXPECT_EQ((*all)[0].id, "key_a");
  EXPECT_EQ((*all)[1].digest, full.digest);
  EXPECT_EQ((*all)[1].name, full.name);
  EXPECT_EQ((*all)[1].tenant, "Acme, Inc.");
  EXPECT_EQ((*all)[1].roles, (std::vector<std::string>{"user", "premium"}));
  EXPECT_EQ((*all)[1].expires_unix_ms, 3000);
}

TEST_F(KeyStoreTest, AnIdOrDigestTwiceIsRefused) {
  auto store = opened();
  ASSERT_TRUE(store->add(record("key_a")));
  EXPECT_EQ(store->add(record("key_a")).error().code, ErrorCode::kInvalidArgument);
  auth::ApiKeyRecord same = record("key_a");
  same.id = "key_b";
  EXPECT_EQ(store->add(same).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(store->all()->size(), 1U);
}

TEST_F(KeyStoreTest, RevokingKeepsTheFirstTimeAndAnUnknownKeyIsNotFound) {
  auto store = opened();
  ASSERT_TRUE(store->add(record("key_a")));
  EXPECT_EQ(store->revoke("key_a", 5000)->revoked_unix_ms, 5000);
  EXPECT_EQ(store->revoke("key_a", 6000)->revoked_unix_ms, 5000);
  EXPECT_EQ(store->revoke("key_x", 6000).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(store->revoke("key_a' OR 1=1 --", 6000).error().code, ErrorCode::kNotFound);
}

TEST_F(KeyStoreTest, AReplacedKeyLivesToTheEndOfItsGraceAndCannotBeReplacedAgain) {
  auto store = opened();
  ASSERT_TRUE(store->add(record("key_a")));
  ASSERT_TRUE(store->replace("key_a", record("key_b"), 9000, 5000));
  EXPECT_EQ(only(*store, "key_a").expires_unix_ms, 9000);
  EXPECT_EQ(only(*store, "key_a").replaced_by, "key_b");
  EXPECT_EQ(only(*store, "key_b").replaced_by, "");
  EXPECT_EQ(store->replace("key_a", record("key_c"), 9000, 5000).error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(store->all()->size(), 2U);
}

TEST_F(KeyStoreTest, ReplacingDoesNotMakeAKeyLiveLongerAndLeavesNothingBehindWhenItFails) {
  auto store = opened();
  auth::ApiKeyRecord old = record("key_a");
  old.expires_unix_ms = 7000;
  ASSERT_TRUE(store->add(old));
  auth::ApiKeyRecord clash = record("key_b");
  clash.digest = old.digest;
  EXPECT_FALSE(store->replace("key_a", clash, 9000, 5000));
  EXPECT_EQ(only(*store, "key_a").replaced_by, "");
  ASSERT_TRUE(store->replace("key_a", record("key_b"), 9000, 5000));
  EXPECT_EQ(only(*store, "key_a").expires_unix_ms, 7000);
  EXPECT_EQ(store->replace("key_x", record("key_c"), 9000, 5000).error().code, ErrorCode::kNotFound);
  ASSERT_TRUE(store->revoke("key_b", 5000));
  EXPECT_EQ(store->replace("key_b", record("key_c"), 9000, 5000).error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(store->all()->size(), 2U);
}

TEST_F(KeyStoreTest, TheFileIsItsOwnersAlone) {
  opened();
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST_F(KeyStoreTest, AFileThatIsNotThereOrNotOursIsSaid) {
  EXPECT_EQ(KeyStore::open_existing(path_).error().code, ErrorCode::kNotFound);
  std::ofstream(path_) << "this is no database, but it is long enough to be looked at by SQLite as if it were one, page by page";
  EXPECT_EQ(KeyStore::open(path_).error().code, ErrorCode::kFailedPrecondition);
  EXPECT_NE(KeyStore::open(path_).error().message.find("key store " + path_), std::string::npos);
}

TEST_F(KeyStoreTest, AJournalOfTheVersionBeforeCanHoldKeysToo) {
  ASSERT_TRUE((*Journal::open(path_))->append(1, "{}"));
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &database), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(database, "DROP TABLE api_keys; PRAGMA user_version = 2", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(database);
  ASSERT_TRUE(opened()->add(record("key_a")));
  EXPECT_EQ((*Journal::open(path_))->newest(5)->size(), 1U);
}

TEST_F(KeyStoreTest, ProcessesThatWriteAtOnceLoseNothing) {
  constexpr int kProcesses = 4, kKeys = 20;
  std::vector<pid_t> children;
  for (int p = 0; p < kProcesses; ++p) {
    const pid_t child = ::fork();
    if (child == 0) {
      bool good = true;
      for (int i = 0; i < kKeys && good; ++i) {
        auto store = KeyStore::open(path_);
        good = store && (*store)->add(record("key_" + std::to_string(p) + "_" + std::to_string(i))).has_value();
      }
      ::_exit(good ? 0 : 1);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(opened()->all()->size(), static_cast<std::size_t>(kProcesses * kKeys));
}

}  // namespace
}  // namespace flexpert::store
