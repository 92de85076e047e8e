#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "telemetry/request_log.h"

namespace flexpert::telemetry {
namespace {

namespace fs = std::filesystem;

/// FNV-1a: enough to tell lines apart.
std::string digest(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return fmt::format("{:016x}", hash);
}

class AuditLogTest : public ::testing::Test {
 protected:
  AuditLogTest() : folder(fs::temp_directory_path() / ("flexpert-audit-" + std::to_string(::getpid()))) { fs::create_directories(folder); }
  ~AuditLogTest() override { fs::remove_all(folder); }

  std::unique_ptr<AuditLog> open() {
    auto log = AuditLog::open(file.string(), digest);
    EXPECT_TRUE(log) << log.error().message;
    return std::move(*log);
  }
  static void deny(AuditLog& log, std::string_view request) {
    log.write({.unix_ms = 1'700'000'000'123, .event = "denied", .request_id = request, .object = "m", .reason = "model_forbidden"});
  }
  [[nodiscard]] std::string text() const {
    std::ifstream in(file);
    std::stringstream all;
    all << in.rdbuf();
    return all.str();
  }
  void put(const std::string& bytes) const { std::ofstream(file, std::ios::trunc) << bytes; }
  [[nodiscard]] std::uint64_t records() const { return check_audit_log(text(), digest).value_or(0); }

  fs::path folder;
  fs::path file = folder / "audit.log";
};

TEST_F(AuditLogTest, EachLineIsThereAtOnceAndFollowsFromTheOneBefore) {
  const auto log = open();
  deny(*log, "r-1");
  const std::string first = text();
  EXPECT_EQ(first, "{\"seq\":1,\"prev\":\"\",\"time\":\"2023-11-14T22:13:20.123Z\",\"event\":\"denied\",\"request_id\":\"r-1\",\"object\":\"m\","
                   "\"reason\":\"model_forbidden\"}\n");
  deny(*log, "r-2");
  EXPECT_TRUE(text().substr(first.size()).starts_with("{\"seq\":2,\"prev\":\"" + digest(first.substr(0, first.size() - 1)) + "\""));
  EXPECT_EQ(records(), 2U);
}

TEST_F(AuditLogTest, AnyChangeAndAnyGapShows) {
  const auto log = open();
  for (int i = 0; i < 6; ++i) deny(*log, fmt::format("r-{}", i));
  const std::string good = text();
  ASSERT_EQ(records(), 6U);
  for (std::size_t i = 0; i + 1 < good.rfind("{\"seq\""); i += 7) {
    std::string bad = good;
    bad[i] = bad[i] == 'x' ? 'y' : 'x';
    EXPECT_FALSE(check_audit_log(bad, digest)) << "byte " << i;
  }
  std::string gap = good;
  const std::size_t second = gap.find('\n') + 1;
  gap.erase(second, gap.find('\n', second) + 1 - second);
  const auto checked = check_audit_log(gap, digest);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().message, "audit log: does not follow from the line before, something was changed or removed, line 2");
}

TEST_F(AuditLogTest, TheChainGoesOnAfterARestart) {
  deny(*open(), "r-1");
  deny(*open(), "r-2");
  const auto log = open();
  deny(*log, "r-3");
  EXPECT_EQ(records(), 3U);
  EXPECT_NE(text().find("{\"seq\":3,"), std::string::npos);
}

TEST_F(AuditLogTest, TheChainGoesOnAfterRotation) {
  const auto log = open();
  deny(*log, "r-1");
  deny(*log, "r-2");
  const std::string old = text();
  fs::rename(file, folder / "audit.log.1");
  log->reopen();
  deny(*log, "r-3");
  deny(*log, "r-4");
  EXPECT_TRUE(text().starts_with("{\"seq\":3,"));
  EXPECT_EQ(check_audit_log(old + text(), digest).value_or(0), 4U);
  EXPECT_EQ(records(), 2U);
}

TEST_F(AuditLogTest, ALineThatWasTornIsSeenAndNotRepeated) {
  {
    const auto log = open();
    for (int i = 0; i < 3; ++i) deny(*log, "r");
  }
  std::string torn = text();
  torn.resize(torn.size() - 20);
  put(torn);
  const auto log = open();
  deny(*log, "later");
  EXPECT_NE(text().find("{\"seq\":4,"), std::string::npos);
  EXPECT_EQ(records(), 4U);  // the torn line is a line of its own, whose digest the next one carries
}

TEST_F(AuditLogTest, GarbageAtTheEndDoesNotStopIt) {
  put("{\"seq\":5,\"prev\":\"\"}\nnot a record\n");
  const auto log = open();
  deny(*log, "r");
  EXPECT_TRUE(text().find("{\"seq\":7,\"prev\":\"" + digest("not a record")) != std::string::npos) << text();
  EXPECT_FALSE(check_audit_log(text(), digest));
}

TEST_F(AuditLogTest, ProcessesTakeTurns) {
  constexpr int kProcesses = 4;
  constexpr int kEach = 100;
  std::vector<pid_t> children;
  for (int process = 0; process < kProcesses; ++process) {
    const pid_t child = ::fork();
    if (child == 0) {
      const auto log = AuditLog::open(file.string(), digest);
      for (int i = 0; log && i < kEach; ++i) deny(**log, fmt::format("r-{}-{}", process, i));
      ::_exit(0);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) ::waitpid(child, nullptr, 0);
  EXPECT_EQ(records(), static_cast<std::uint64_t>(kProcesses * kEach));
}

TEST_F(AuditLogTest, WithoutAFileRecordsGoToTheProgramsLog) {
  const auto log = AuditLog::open("", digest);
  ASSERT_TRUE(log);
  ::testing::internal::CaptureStderr();
  deny(**log, "r-1");
  EXPECT_NE(::testing::internal::GetCapturedStderr().find("model_forbidden"), std::string::npos);
}

TEST_F(AuditLogTest, ARecordThatCannotBeWrittenIsCountedAndSaid) {
  const auto log = AuditLog::open("/dev/full", digest);
  ASSERT_TRUE(log);
  ::testing::internal::CaptureStderr();
  deny(**log, "r-lost");
  EXPECT_NE(::testing::internal::GetCapturedStderr().find("r-lost"), std::string::npos);
  EXPECT_EQ((*log)->failed(), 1U);
}

}  // namespace
}  // namespace flexpert::telemetry
