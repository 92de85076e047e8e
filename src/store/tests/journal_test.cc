#include "store/journal.h"

#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

namespace flexpert::store {
namespace {

class JournalTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "flexpert-journal-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    dir_ = pattern;
    path_ = dir_ + "/journal.db";
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  void run_sql(const char* sql) const {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(path_.c_str(), &database), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(database, sql, nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(database);
  }

  std::string dir_;
  std::string path_;
};

TEST_F(JournalTest, GivesTheNewestFirstAndKeepsThemOverAReopen) {
  {
    auto journal = Journal::open(path_);
    ASSERT_TRUE(journal) << journal.error().message;
    EXPECT_TRUE((*journal)->newest(10)->empty());
    for (int i = 0; i < 5; ++i) ASSERT_TRUE((*journal)->append(i, fmt::format("{{\"cycle\":{}}}", i)));
  }
  auto journal = Journal::open(path_);
  ASSERT_TRUE(journal) << journal.error().message;
  EXPECT_EQ(*(*journal)->newest(2), (std::vector<std::string>{"{\"cycle\":4}", "{\"cycle\":3}"}));
  EXPECT_EQ((*journal)->newest(1'000'000)->size(), 5U);
  EXPECT_TRUE((*journal)->newest(0)->empty());
}

TEST_F(JournalTest, WhatWasAppendedSurvivesKill9) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto journal = Journal::open(path_);
    if (!journal) ::_exit(1);
    for (int i = 0; i < 100; ++i)
      if (!(*journal)->append(i, "{}")) ::_exit(2);
    if (::write(ready[1], "x", 1) != 1) ::_exit(3);
    for (;;) ::pause();
  }
  ::close(ready[1]);
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  ::close(ready[0]);
  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  auto journal = Journal::open(path_);
  ASSERT_TRUE(journal) << journal.error().message;
  EXPECT_EQ((*journal)->newest(1000)->size(), 100U);
}

TEST_F(JournalTest, AFileThatIsNoDatabaseIsRefusedAndLeftAlone) {
  const std::string text(5000, 'x');
  std::ofstream(path_) << text;
  const auto journal = Journal::open(path_);
  ASSERT_FALSE(journal);
  EXPECT_EQ(journal.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_NE(journal.error().message.find("file is not a database"), std::string::npos) << journal.error().message;
  std::stringstream after;
  after << std::ifstream(path_).rdbuf();
  EXPECT_EQ(after.str(), text);
}

TEST_F(JournalTest, ADatabaseOfAnotherProgramIsRefused) {
  run_sql("CREATE TABLE songs(name TEXT)");
  const auto journal = Journal::open(path_);
  ASSERT_FALSE(journal);
  EXPECT_EQ(journal.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_NE(journal.error().message.find("of another program"), std::string::npos) << journal.error().message;
}

TEST_F(JournalTest, ANewerSchemaIsRefused) {
  ASSERT_TRUE(Journal::open(path_));
  run_sql("PRAGMA user_version = 99");
  const auto journal = Journal::open(path_);
  ASSERT_FALSE(journal);
  EXPECT_NE(journal.error().message.find("newer version"), std::string::npos) << journal.error().message;
}

TEST_F(JournalTest, AFolderThatIsNotThereIsAnError) {
  const auto journal = Journal::open(dir_ + "/no/journal.db");
  ASSERT_FALSE(journal);
  EXPECT_EQ(journal.error().code, ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace flexpert::store
