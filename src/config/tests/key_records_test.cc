#include "config/key_records.h"

#include <gtest/gtest.h>

#include "config/timestamp.h"

namespace flexpert::config {
namespace {

const std::string kDigest(64, 'a');

std::string message_of(const std::string& text) {
  const auto records = parse_key_records(text, "k.yaml");
  return records ? "no error" : records.error().message;
}

TEST(KeyRecords, WhatIsWrittenIsReadBack) {
  auth::ApiKeyRecord record{.id = "key_-Az_09",
                            .digest = {},
                            .name = "a \"name\" with \\ and : # {",
                            .tenant = "Acme, Inc.",
                            .roles = {"user", "a.b-c"},
                            .created_unix_ms = 1'000'000'000'000,
                            .expires_unix_ms = 2'000'000'000'000,
                            .revoked_unix_ms = 1'500'000'000'000,
                            .replaced_by = "key_x"};
  for (std::size_t i = 0; i < record.digest.size(); ++i) record.digest[i] = static_cast<std::uint8_t>(i * 37);
  const auto read = parse_key_records("keys:\n" + key_record_line(record) + "\n", "k.yaml");
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->size(), 1U);
  EXPECT_EQ((*read)[0].id, record.id);
  EXPECT_EQ((*read)[0].digest, record.digest);
  EXPECT_EQ((*read)[0].name, record.name);
  EXPECT_EQ((*read)[0].tenant, record.tenant);
  EXPECT_EQ((*read)[0].roles, record.roles);
  EXPECT_EQ((*read)[0].created_unix_ms, record.created_unix_ms);
  EXPECT_EQ((*read)[0].expires_unix_ms, record.expires_unix_ms);
  EXPECT_EQ((*read)[0].revoked_unix_ms, record.revoked_unix_ms);
  EXPECT_EQ((*read)[0].replaced_by, "key_x");
}

TEST(KeyRecords, AnEmptyFileHasNone) { EXPECT_TRUE(parse_key_records("", "k.yaml")->empty()); }

TEST(KeyRecords, MistakesAreNamedAndAKeyInThePlaceOfItsDigestIsNotRepeated) {
  const auto with = [](const std::string& fields) { return message_of("keys:\n  - {" + fields + "}\n"); };
  EXPECT_NE(with("id: a, tenant: t, digest: fx-SECRETSECRET").find("k.yaml:2: keys[0].digest: this is no digest"), std::string::npos);
  EXPECT_EQ(with("id: a, tenant: t, digest: fx-SECRETSECRET").find("SECRET"), std::string::npos);
  EXPECT_NE(with("tenant: t, digest: " + kDigest).find("keys[0].id: the key is missing"), std::string::npos);
  EXPECT_NE(with("id: a, digest: " + kDigest).find("keys[0].tenant: the key is missing"), std::string::npos);
  EXPECT_NE(with("id: a, tenant: t, expires: soon, digest: " + kDigest).find("keys[0].expires: this is no time"), std::string::npos);
  EXPECT_NE(with("id: a, tenant: t, roles: [\"a b\"], digest: " + kDigest).find("\"a b\" cannot name a role"), std::string::npos);
  EXPECT_NE(
      message_of("keys:\n  - {id: a, tenant: t, digest: " + kDigest + "}\n  - {id: a, tenant: t, digest: " + std::string(64, 'b') + "}\n")
          .find("key a: its id is given twice"),
      std::string::npos);
}

TEST(Timestamp, IsReadAsItIsWritten) {
  for (const std::int64_t ms :
       {std::int64_t{0}, std::int64_t{951'782'400'000}, std::int64_t{1'795'341'599'000}, std::int64_t{253'402'300'799'000}})
    EXPECT_EQ(parse_timestamp(format_timestamp(ms)), ms) << format_timestamp(ms);
  EXPECT_EQ(format_timestamp(951'782'400'999), "2000-02-29T00:00:00Z");
  EXPECT_EQ(parse_timestamp("2000-02-29"), 951'782'400'000);
  for (const char* wrong : {"", "2000", "2001-02-29", "2000-02-29T", "2000-02-29T24:00:00Z", "2000-02-29T00:00:00", "2000-02-29 00:00:00Z",
                            "2000-13-01", "1969-12-31", "-001-01-01", "2000-02-29T00:00:00Zx"})
    EXPECT_FALSE(parse_timestamp(wrong)) << wrong;
}

TEST(Timestamp, ASpanIsAWholeNumberAndAUnit) {
  EXPECT_EQ(parse_span_ms("90d"), 90LL * 86'400'000);
  EXPECT_EQ(parse_span_ms("24h"), 86'400'000);
  EXPECT_EQ(parse_span_ms("0s"), 0);
  EXPECT_EQ(parse_span_ms("5m"), 300'000);
  for (const char* wrong : {"", "d", "5", "-5d", "5.5h", "5 d", "99999999999d", "36526d", "5y"})
    EXPECT_FALSE(parse_span_ms(wrong)) << wrong;
}

}  // namespace
}  // namespace flexpert::config
