#include "store/plan_journal.h"

#include <sqlite3.h>
#include <unistd.h>

#include <filesystem>

#include <gtest/gtest.h>

#include "store/journal.h"
#include "store/leader_lock.h"

namespace flexpert::store {
namespace {

class PlanJournalTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "flexpert-plans-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    dir_ = pattern;
    path_ = dir_ + "/journal.db";
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  static PlanRow cycle(int number, bool news = false) {
    return {0, number, "cycle", news, "hash", fmt::format("snapshot {}", number), fmt::format("plan {}", number)};
  }
  static PlanRow start(const char* kind) { return {0, 0, kind, false, "hash", "{}", ""}; }
  static std::vector<std::string> records(PlanJournal& journal) {
    std::vector<std::string> out;
    EXPECT_TRUE(journal.for_each([&](const PlanRow& row) {
      out.push_back(row.kind == "cycle" ? row.record : row.kind);
      return true;
    }));
    return out;
  }

  std::string dir_;
  std::string path_;
};

TEST_F(PlanJournalTest, RowsAndStateComeBackInOrder) {
  {
    auto journal = PlanJournal::open(path_);
    ASSERT_TRUE(journal) << journal.error().message;
    ASSERT_TRUE((*journal)->commit({start("start"), cycle(1)}, {{"planner", "a"}}));
    ASSERT_TRUE((*journal)->commit({cycle(2, true)}, {{"planner", "b"}, {"pools", "c"}}));
  }
  auto journal = PlanJournal::open_existing(path_);
  ASSERT_TRUE(journal) << journal.error().message;
  EXPECT_EQ(records(**journal), (std::vector<std::string>{"start", "snapshot 1", "snapshot 2"}));
  EXPECT_EQ(*(*journal)->state("planner"), "b");
  EXPECT_EQ(*(*journal)->state("pools"), "c");
  EXPECT_EQ(*(*journal)->state("other"), "");
  ASSERT_EQ((*journal)->newest(10)->size(), 1U);
  EXPECT_EQ((*journal)->newest(10)->front().plan, "plan 2");
}

TEST_F(PlanJournalTest, PruningLeavesWhatCanBeReplayed) {
  auto journal = PlanJournal::open(path_);
  ASSERT_TRUE(journal);
  for (int block = 0; block < 3; ++block) {
    ASSERT_TRUE((*journal)->commit({start(block == 0 ? "start" : "checkpoint")}, {}));
    for (int i = 0; i < 10; ++i) ASSERT_TRUE((*journal)->commit({cycle(block * 10 + i)}, {}));
  }
  ASSERT_TRUE((*journal)->prune(15));
  EXPECT_EQ(records(**journal).size(), 22U);  // from the second block's checkpoint on
  EXPECT_EQ(records(**journal).front(), "checkpoint");
  ASSERT_TRUE((*journal)->prune(1'000'000));
  EXPECT_EQ(records(**journal).size(), 22U);
}

TEST_F(PlanJournalTest, TheFirstVersionsJournalIsTakenOver) {
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &database), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(database,
                         "CREATE TABLE decisions(id INTEGER PRIMARY KEY, unix_ms INTEGER NOT NULL, json TEXT NOT NULL);"
                         "INSERT INTO decisions(unix_ms, json) VALUES(1, '{}'); PRAGMA application_id = 1181513840; PRAGMA user_version = 1",
                         nullptr, nullptr, nullptr),
            SQLITE_OK);
  sqlite3_close(database);
  EXPECT_FALSE(PlanJournal::open_existing(path_));  // not brought up to date by a reader
  auto journal = PlanJournal::open(path_);
  ASSERT_TRUE(journal) << journal.error().message;
  EXPECT_TRUE((*journal)->commit({cycle(1)}, {}));
  EXPECT_EQ((*Journal::open(path_))->newest(5)->size(), 1U);
}

TEST_F(PlanJournalTest, AFileThatIsNotThereIsNotMadeByAReader) {
  const auto journal = PlanJournal::open_existing(path_);
  ASSERT_FALSE(journal);
  EXPECT_EQ(journal.error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(PlanJournalTest, OneLeaderAtATime) {
  const std::string path = dir_ + "/leader";
  auto first = LeaderLock::try_take(path);
  ASSERT_TRUE(first && *first);
  ASSERT_TRUE((*first)->say("pid 1, somewhere"));
  const auto second = LeaderLock::try_take(path);
  ASSERT_TRUE(second);
  EXPECT_FALSE(*second);
  EXPECT_EQ(LeaderLock::holder(path), "pid 1, somewhere");
  first->reset();
  EXPECT_TRUE(*LeaderLock::try_take(path));
}

}  // namespace
}  // namespace flexpert::store
