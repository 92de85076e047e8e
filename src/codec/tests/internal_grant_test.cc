#include "base/base64url.h"
#include "codec/internal_grant.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace flexpert::codec {
namespace {

std::string text_of(Rng& rng, std::size_t most) {
  std::string out;
  for (std::size_t size = rng.below(most + 1); out.size() < size;) out += static_cast<char>(rng.below(256));
  return out;
}

/// Sets of every kind: none, few, runs, dense and sparse layers.
ExpertSet set_of(Rng& rng) {
  std::vector<ExpertSlot> slots;
  for (std::uint64_t layer = 0, layers = rng.below(5); layer < layers; ++layer) {
    const auto which = static_cast<std::uint32_t>(rng.below(64));
    const double share = rng.uniform() < 0.3 ? 1.0 : rng.uniform();
    const std::uint64_t experts = 1 + rng.below(300);
    for (std::uint32_t expert = 0; expert < experts; ++expert)
      if (rng.uniform() < share) slots.push_back({which, expert});
    if (rng.uniform() < 0.1) slots.push_back({which, UINT32_MAX});
  }
  return ExpertSet(std::move(slots));
}

InternalGrant grant_of(Rng& rng) {
  InternalGrant grant;
  grant.rights = {text_of(rng, 20), text_of(rng, 20), text_of(rng, 20), text_of(rng, 20), set_of(rng)};
  grant.request_id = text_of(rng, 40);
  for (auto& byte : grant.body_sha256) byte = static_cast<std::uint8_t>(rng.below(256));
  grant.expires_unix_ms = static_cast<std::int64_t>(rng.next() >> 1);
  grant.deadline_unix_ms = rng.uniform() < 0.5 ? 0 : static_cast<std::int64_t>(rng.next() >> 1);
  grant.priority = static_cast<std::uint8_t>(rng.below(3));
  return grant;
}

InternalGrant small_grant() {
  InternalGrant grant;
  grant.rights = {"acme", "tiny", "rev", "rights", ExpertSet({{0, 1}, {0, 2}, {3, 7}})};
  grant.request_id = "req-1";
  grant.expires_unix_ms = 1000;
  return grant;
}

std::string bytes_of(const InternalGrant& grant) { return *from_base64url(*internal_grant_payload(grant)); }
std::string fault(std::string_view bytes) {
  std::string payload;
  append_base64url(payload, bytes);
  const auto grant = parse_internal_grant(payload);
  return grant ? "none" : grant.error().message;
}

TEST(InternalGrant, EveryGrantComesBackFromItsOneText) {
  Rng rng(7);
  for (int i = 0; i < 300; ++i) {
    const InternalGrant grant = grant_of(rng);
    const auto payload = internal_grant_payload(grant);
    ASSERT_TRUE(payload) << payload.error().message;
    const auto again = parse_internal_grant(*payload);
    ASSERT_TRUE(again) << again.error().message;
    ASSERT_EQ(*again, grant);
  }
}

TEST(InternalGrant, DifferentGrantsHaveDifferentTexts) {
  InternalGrant shifted = small_grant();
  shifted.rights.tenant = "acmet";
  shifted.rights.model = "iny";
  EXPECT_NE(*internal_grant_payload(shifted), *internal_grant_payload(small_grant()));
}

TEST(InternalGrant, NoOtherBytesMeanTheSame) {
  const InternalGrant grant = small_grant();
  const std::string good = bytes_of(grant);
  for (std::size_t at = 0; at < good.size(); ++at)
    for (unsigned bit = 0; bit < 8; ++bit) {
      std::string bytes = good;
      bytes[at] = static_cast<char>(static_cast<unsigned char>(bytes[at]) ^ 1U << bit);
      std::string payload;
      append_base64url(payload, bytes);
      const auto other = parse_internal_grant(payload);
      if (!other) continue;
      EXPECT_NE(*other, grant) << at;
      EXPECT_EQ(*internal_grant_payload(*other), payload) << at;
    }
}

TEST(InternalGrant, CutTextsAndBytesBehindAreRefused) {
  const std::string good = bytes_of(small_grant());
  for (std::size_t size = 0; size < good.size(); ++size) EXPECT_NE(fault(good.substr(0, size)), "none") << size;
  EXPECT_EQ(fault(good + '\0'), "grant: bytes after its end");
  EXPECT_EQ(fault("\x02" + good.substr(1)), "version: 2 is not known");
}

/// The payload of a grant whose set is `layers` layers written as `set`.
std::string with_set(std::uint32_t layers, std::string_view set) {
  InternalGrant grant = small_grant();
  grant.rights.forbidden = {};
  std::string bytes = bytes_of(grant);
  const std::size_t at = 1 + (2 + 4) + (2 + 4) + (2 + 3) + (2 + 6);
  bytes[at] = static_cast<char>(layers);
  return bytes.insert(at + 4, set);
}
std::string layer(char number, char form, std::string_view set) {
  using namespace std::string_literals;
  return std::string(1, number) + "\0\0\0"s + form + static_cast<char>(set.size()) + "\0\0\0"s + std::string(set);
}

TEST(InternalGrant, SetsThatAreNotInTheirOneFormAreRefused) {
  using namespace std::string_view_literals;
  EXPECT_EQ(fault(with_set(2, layer(1, 1, "\2") + layer(3, 0, "\0\x1F"sv))), "none");
  EXPECT_EQ(fault(with_set(2, layer(3, 1, "\2") + layer(1, 1, "\2"))), "forbidden: layers do not ascend");
  EXPECT_EQ(fault(with_set(2, layer(1, 1, "\2") + layer(1, 1, "\4"))), "forbidden: layers do not ascend");
  EXPECT_EQ(fault(with_set(1, layer(1, 0, "\1\0"sv))), "forbidden: a layer is not in its shortest form");
  EXPECT_EQ(fault(with_set(1, layer(1, 0, ""))), "forbidden: a layer has no expert");
  EXPECT_EQ(fault(with_set(1, layer(1, 0, "\1\0\0\0"sv))), "forbidden: two runs touch");
  EXPECT_EQ(fault(with_set(1, layer(1, 0, "\1"))), "forbidden: a number is cut, too large or longer than it must be");
  EXPECT_EQ(fault(with_set(1, layer(1, 0, "\x81\0\0"sv))), "forbidden: a number is cut, too large or longer than it must be");
  EXPECT_EQ(fault(with_set(1, layer(1, 0, "\0\xFF\xFF\xFF\xFF\x0F"sv))), "forbidden: too many experts");
  EXPECT_EQ(fault(with_set(1, layer(1, 1, "\x55"))), "none");
  EXPECT_EQ(fault(with_set(1, layer(1, 1, "\x55\0"sv))), "forbidden: a bitmap ends with a byte of no expert");
  EXPECT_EQ(fault(with_set(1, layer(1, 0, "\0\0\1\0\1\0\1\0"sv))), "forbidden: a layer is not in its shortest form");
  EXPECT_EQ(fault(with_set(1, layer(1, 1, "\x80\x80"))), "none");
  EXPECT_EQ(fault(with_set(1, layer(1, 2, "\1"))), "forbidden: an unknown form of a layer");
}

TEST(InternalGrant, ValuesAreSplitOnlyInTheirOneForm) {
  std::array<std::uint8_t, 32> signature{};
  signature[0] = 0xFF;
  const std::string payload = *internal_grant_payload(small_grant());
  const std::string value = internal_grant_value(payload, signature);
  const auto split = split_internal_grant(value);
  ASSERT_TRUE(split);
  EXPECT_EQ(split->payload, payload);
  EXPECT_EQ(split->signature, signature);
  for (const std::string& bad : {value + "=", value + " ", value + "A", "v2" + value.substr(2), "v1." + payload, value.substr(0,
      value.size() - 1),
                                 value.substr(0, value.size() - 1) + "B", std::string(), std::string(kMostInternalGrantBytes + 1, 'A')})
    EXPECT_FALSE(split_internal_grant(bad)) << bad.substr(0, 20);
}

TEST(InternalGrant, WhatAFieldCannotHoldIsNotWritten) {
  InternalGrant grant = small_grant();
  grant.rights.tenant.assign(70'000, 'x');
  EXPECT_EQ(internal_grant_payload(grant).error().message, "tenant: longer than 65535 bytes");
  grant.rights.tenant.assign(60'000, 'x');
  EXPECT_EQ(internal_grant_payload(grant).error().message, "grant: longer than a field can be");
  grant = small_grant();
  grant.priority = 3;
  EXPECT_EQ(internal_grant_payload(grant).error().message, "priority: 3 is over 2");
  grant = small_grant();
  grant.expires_unix_ms = -1;
  EXPECT_EQ(internal_grant_payload(grant).error().message, "expires_unix_ms: negative");
}

TEST(InternalGrant, AThousandExpertsFitInLittleSpace) {
  std::vector<ExpertSlot> slots;
  for (std::uint32_t layer = 0; layer < 60; ++layer)
    for (std::uint32_t expert = 0; expert < 256; expert += 2) slots.push_back({layer, expert});
  InternalGrant grant = small_grant();
  grant.rights.forbidden = ExpertSet(std::move(slots));
  EXPECT_LT(internal_grant_payload(grant)->size(), 4096U);
}

}  // namespace
}  // namespace flexpert::codec
