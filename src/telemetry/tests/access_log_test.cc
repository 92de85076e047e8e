#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "telemetry/json_line.h"
#include "telemetry/request_log.h"

namespace flexpert::telemetry {
namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string as_text(std::string_view text) {
  std::string out(json_line::kLargestText, '\0');
  out.resize(static_cast<std::size_t>(json_line::put_text(out.data(), text) - out.data()));
  return out;
}

std::string number(std::uint64_t value) {
  std::string out(json_line::kLargestNumber, '\0');
  out.resize(static_cast<std::size_t>(json_line::put_number(out.data(), value) - out.data()));
  return out;
}

std::string time(std::int64_t unix_ms) {
  std::string out(32, '\0');
  out.resize(static_cast<std::size_t>(json_line::TimeText().put(out.data(), unix_ms) - out.data()));
  return out;
}

class AccessLogTest : public ::testing::Test {
 protected:
  AccessLogTest() : folder(fs::temp_directory_path() / ("flexpert-access-" + std::to_string(::getpid()))) { fs::create_directories(folder); }
  ~AccessLogTest() override { fs::remove_all(folder); }
  fs::path folder;
};

TEST(JsonLine, EscapesEveryByteThatNeedsIt) {
  EXPECT_EQ(as_text("plain text of some length"), "\"plain text of some length\"");
  EXPECT_EQ(as_text("a\"b\\c\nd\x01\x7f"), R"("a\"b\\c\u000ad\u0001\u007f")");
  EXPECT_EQ(as_text("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80"), "\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80\"");
  EXPECT_EQ(as_text("\xff\xc0\xaf\xed\xa0\x80x\xe2\x82"), R"("\ufffd\ufffd\ufffd\ufffd\ufffd\ufffdx\ufffd\ufffd")");
}

TEST(JsonLine, EveryByteAtEveryPlaceOfEveryLengthIsRight) {
  for (std::size_t size = 1; size <= 20; ++size)
    for (std::size_t place = 0; place < size; ++place)
      for (int byte = 0; byte < 256; ++byte) {
        std::string text(size, 'k');
        text[place] = static_cast<char>(byte);
        std::string expected(1, static_cast<char>(byte));
        if (byte == '"' || byte == '\\') expected.insert(0, "\\");
        else if (byte < 0x20 || byte == 0x7f) expected = fmt::format("\\u{:04x}", byte);
        else if (byte >= 0x80) expected = "\\ufffd";
        ASSERT_EQ(as_text(text), '"' + std::string(place, 'k') + expected + std::string(size - place - 1, 'k') + '"');
      }
}

TEST(JsonLine, CutsOffWhatIsTooLong) {
  EXPECT_EQ(as_text(std::string(1000, 'x')).size(), json_line::kLongestText + 2);
  EXPECT_EQ(as_text(std::string(1000, '\x01')).size(), json_line::kLargestText);
}

TEST(JsonLine, WritesNumbers) {
  Rng rng(1);
  for (const std::uint64_t value : {std::uint64_t{0}, std::uint64_t{9}, std::uint64_t{10}, std::uint64_t{99}, std::uint64_t{100}, UINT64_MAX})
    EXPECT_EQ(number(value), std::to_string(value));
  for (int i = 0; i < 2000; ++i) {
    const std::uint64_t value = rng.next() >> rng.below(64);
    ASSERT_EQ(number(value), std::to_string(value));
  }
}

TEST(JsonLine, WritesTimes) {
  EXPECT_EQ(time(0), "\"1970-01-01T00:00:00.000Z\"");
  EXPECT_EQ(time(951'827'696'789), "\"2000-02-29T12:34:56.789Z\"");
  EXPECT_EQ(time(4'107'542'399'999), "\"2100-02-28T23:59:59.999Z\"");
  EXPECT_EQ(time(-5), time(0));
  EXPECT_EQ(time(999'999'999'999'999), "\"9999-12-31T23:59:59.999Z\"");
}

TEST_F(AccessLogTest, ALineHasWhatIsKnown) {
  const fs::path file = folder / "access.log";
  {
    auto log = AccessLog::open(file.string());
    ASSERT_TRUE(log) << log.error().message;
    AccessRecord record;
    record.unix_ms = 1'700'000'000'123;
    record.request_id = "r-1";
    record.model = "m\"x";
    record.status = 200;
    record.outcome = "ok";
    record.request_bytes = 250;
    record.attempts = 1;
    record.total_us = 1234;
    (*log)->write(record);
    EXPECT_EQ(read(file), "");
  }
  EXPECT_EQ(read(file),
            "{\"time\":\"2023-11-14T22:13:20.123Z\",\"request_id\":\"r-1\",\"model\":\"m\\\"x\",\"status\":200,\"outcome\":\"ok\",\"request_bytes\":250,"
            "\"response_bytes\":0,\"attempts\":1,\"prompt_tokens\":0,\"completion_tokens\":0,\"queue_us\":0,\"ttft_us\":0,\"total_us\":1234}\n");
}

TEST_F(AccessLogTest, TheLargestRecordsFit) {
  const fs::path file = folder / "access.log";
  const std::string worst(4000, '\x01');
  AccessRecord record;
  for (std::string_view* text : {&record.request_id, &record.trace_id, &record.peer, &record.tenant, &record.principal, &record.method, &record.path,
                                 &record.model, &record.upstream, &record.outcome, &record.reason, &record.degraded})
    *text = worst;
  record.status = 599;
  record.request_bytes = record.response_bytes = UINT64_MAX;
  record.attempts = record.prompt_tokens = record.completion_tokens = record.queue_us = record.ttft_us = record.total_us = UINT32_MAX;
  {
    auto log = AccessLog::open(file.string());
    ASSERT_TRUE(log);
    for (int i = 0; i < 50; ++i) (*log)->write(record);
  }
  const std::string text = read(file);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 50);
  EXPECT_GT(text.size(), 50U * 12 * 256 * 6);
}

TEST_F(AccessLogTest, FlushesByItselfInWholeLines) {
  const fs::path file = folder / "access.log";
  auto log = AccessLog::open(file.string());
  ASSERT_TRUE(log);
  for (int i = 0; i < 1000; ++i) (*log)->write({.unix_ms = i, .request_id = "request", .status = 200});
  const std::string so_far = read(file);
  EXPECT_GE(so_far.size(), 64U * 1024);
  EXPECT_TRUE(so_far.ends_with("}\n"));
}

TEST_F(AccessLogTest, ReopensAfterRotation) {
  const fs::path file = folder / "access.log";
  auto log = AccessLog::open(file.string());
  ASSERT_TRUE(log);
  (*log)->write({.request_id = "before"});
  fs::rename(file, folder / "access.log.1");
  (*log)->reopen();
  (*log)->write({.request_id = "after"});
  (*log)->flush();
  EXPECT_NE(read(folder / "access.log.1").find("before"), std::string::npos);
  EXPECT_NE(read(file).find("after"), std::string::npos);
  EXPECT_EQ(read(file).find("before"), std::string::npos);
}

TEST_F(AccessLogTest, AFolderThatIsNotThereIsAnErrorAndAFullDiskIsCounted) {
  const auto missing = AccessLog::open((folder / "no" / "access.log").string());
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kFailedPrecondition);
  auto full = AccessLog::open("/dev/full");
  ASSERT_TRUE(full);
  (*full)->write({.request_id = "lost"});
  (*full)->write({.request_id = "lost too"});
  (*full)->flush();
  EXPECT_EQ((*full)->dropped(), 2U);
  (*full)->write({.request_id = "last"});
  (*full)->reopen();
  EXPECT_EQ((*full)->dropped(), 3U);
}

}  // namespace
}  // namespace flexpert::telemetry
