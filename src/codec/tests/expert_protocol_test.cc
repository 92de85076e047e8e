#include "codec/expert_protocol.h"

#include <algorithm>
#include <cstring>

#include <gtest/gtest.h>

#include "base/rng.h"

namespace flexpert::expert_protocol {
namespace {

void feed(FrameDecoder& decoder, std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  const auto space = decoder.space(bytes.size());
  std::memcpy(space.data(), bytes.data(), bytes.size());
  decoder.received(bytes.size());
}

Frame only_frame(FrameDecoder& decoder, const Bytes& bytes) {
  feed(decoder, bytes);
  auto frame = decoder.next();
  EXPECT_TRUE(frame.has_value()) << (frame ? "" : frame.error().message);
  EXPECT_TRUE(frame && frame->has_value());
  return frame && *frame ? **frame : Frame{};
}

Bytes small_batch(std::uint64_t correlation = 7) {
  static const std::vector<BatchGroup> groups{{2, 2}, {5, 1}};
  static const std::vector<std::uint32_t> indices{0, 1, 1};
  static const std::vector<float> rows{1, 2, 3, 4, 5, 6};
  Bytes out;
  encode(out, correlation, Batch{.layer = 3, .step = 9, .hidden = 3, .row_count = 2, .groups = groups, .row_indices = indices,
                                 .rows = rows, .instance = "expert-0"});
  return out;
}

TEST(ExpertProtocol, HelloRoundTrip) {
  Bytes out;
  encode(out, 1, Hello{"abcd", 4, "kernel-1", 192, {6, 32}});
  FrameDecoder decoder;
  const Frame frame = only_frame(decoder, out);
  EXPECT_EQ(frame.type, FrameType::kHello);
  EXPECT_EQ(frame.correlation, 1U);
  const auto hello = decode_hello(frame.payload);
  ASSERT_TRUE(hello);
  EXPECT_EQ(hello->model_fingerprint, "abcd");
  EXPECT_EQ(hello->model_epoch, 4U);
  EXPECT_EQ(hello->kernel_identity, "kernel-1");
  EXPECT_EQ(hello->hidden, 192U);
  EXPECT_EQ(hello->geometry, (ExpertGeometry{6, 32}));
}

TEST(ExpertProtocol, HelloReplyRoundTrip) {
  Bytes out;
  encode(out, 2, HelloReply{"fp", 0, "k", 8, {1, 2}, 1500.5, "expert-3"});
  FrameDecoder decoder;
  const auto reply = decode_hello_reply(only_frame(decoder, out).payload);
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->pace_rows_per_s, 1500.5);
  EXPECT_EQ(reply->instance, "expert-3");
}

TEST(ExpertProtocol, BatchRoundTrip) {
  FrameDecoder decoder;
  const Frame frame = only_frame(decoder, small_batch());
  const auto batch = decode_batch(frame.payload);
  ASSERT_TRUE(batch) << batch.error().message;
  EXPECT_EQ(batch->layer, 3U);
  EXPECT_EQ(batch->step, 9U);
  ASSERT_EQ(batch->groups.size(), 2U);
  EXPECT_EQ(batch->groups[1].expert, 5U);
  EXPECT_EQ(std::vector<std::uint32_t>(batch->row_indices.begin(), batch->row_indices.end()), (std::vector<std::uint32_t>{0, 1, 1}));
  EXPECT_EQ(std::vector<float>(batch->rows.begin(), batch->rows.end()), (std::vector<float>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(batch->instance, "expert-0");
}

TEST(ExpertProtocol, ResultRoundTrip) {
  Bytes out;
  const OpenFrame open = begin_result(out, 11, 2, 3);
  std::fill(open.floats.begin(), open.floats.end(), 0.5F);
  finish_result(out, open, 12345, 6);
  FrameDecoder decoder;
  const auto result = decode_result(only_frame(decoder, out).payload);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->service_ns, 12345U);
  EXPECT_EQ(result->queue_rows, 6U);
  EXPECT_EQ(result->assignments, 2U);
  ASSERT_EQ(result->outputs.size(), 6U);
  EXPECT_EQ(result->outputs[5], 0.5F);
}

TEST(ExpertProtocol, SmallFramesRoundTrip) {
  Bytes out;
  const std::vector<ExpertSlot> slots{{0, 1}, {5, 31}};
  encode_prepare(out, 1, slots);
  encode_drain(out, 2, 1500);
  encode_empty(out, 3, FrameType::kCancel);
  encode(out, 4, WireError{ErrorCode::kUnavailable, "draining"});
  FrameDecoder decoder;
  feed(decoder, out);
  EXPECT_EQ(decode_prepare((**decoder.next()).payload).value(), slots);
  EXPECT_EQ(decode_drain((**decoder.next()).payload).value(), 1500U);
  EXPECT_EQ((**decoder.next()).type, FrameType::kCancel);
  const auto error = decode_error((**decoder.next()).payload);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, ErrorCode::kUnavailable);
  EXPECT_EQ(error->text, "draining");
  EXPECT_FALSE(decoder.next()->has_value());
}

TEST(ExpertProtocol, StatsRoundTrip) {
  Bytes out;
  encode(out, 1, Stats{.batches = 1, .rows = 2, .rejected_connections = 6, .pace_rows_per_s = 10, .slots = {{{1, 2}, 3}}});
  FrameDecoder decoder;
  const auto stats = decode_stats_reply(only_frame(decoder, out).payload);
  ASSERT_TRUE(stats);
  EXPECT_EQ(stats->rows, 2U);
  EXPECT_EQ(stats->rejected_connections, 6U);
  ASSERT_EQ(stats->slots.size(), 1U);
  EXPECT_EQ(stats->slots[0].rows, 3U);
}

TEST(ExpertProtocol, FramesArriveByteByByte) {
  Bytes stream = small_batch(1);
  const Bytes second = small_batch(2);
  stream.insert(stream.end(), second.begin(), second.end());
  FrameDecoder decoder;
  std::vector<std::uint64_t> seen;
  for (const std::byte byte : stream) {
    feed(decoder, std::span(&byte, 1));
    const auto frame = decoder.next();
    ASSERT_TRUE(frame) << frame.error().message;
    if (!*frame) continue;
    EXPECT_TRUE(decode_batch((*frame)->payload));
    seen.push_back((*frame)->correlation);
  }
  EXPECT_EQ(seen, (std::vector<std::uint64_t>{1, 2}));
}

TEST(ExpertProtocol, EveryFlippedBitIsNoticed) {
  const Bytes good = small_batch();
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    Bytes bad = good;
    bad[bit / 8] ^= std::byte{1} << (bit % 8);
    FrameDecoder decoder;
    feed(decoder, bad);
    EXPECT_FALSE(decoder.next()) << "bit " << bit;
  }
}

TEST(ExpertProtocol, PayloadsOverTheBoundAreRefusedFromTheHeaderAlone) {
  const Bytes good = small_batch();
  FrameDecoder decoder(32);
  feed(decoder, std::span(good).first(kHeaderBytes));
  const auto frame = decoder.next();
  ASSERT_FALSE(frame);
  EXPECT_EQ(frame.error().code, ErrorCode::kDataLoss);
}

TEST(ExpertProtocol, TruncatedPayloadsAreMalformed) {
  const Bytes good = small_batch();
  const auto payload = std::span(good).subspan(kHeaderBytes);
  for (std::size_t size = 0; size + 4 <= payload.size(); size += 4) EXPECT_FALSE(decode_batch(payload.first(size))) << size;
  EXPECT_TRUE(decode_batch(payload));
}

TEST(ExpertProtocol, BatchesThatContradictThemselvesAreMalformed) {
  const std::vector<float> rows(6);
  const auto refused = [&](std::vector<BatchGroup> groups, std::vector<std::uint32_t> indices) {
    Bytes out;
    encode(out, 1, Batch{.hidden = 3, .row_count = 2, .groups = groups, .row_indices = indices, .rows = rows, .instance = {}});
    return !decode_batch(std::span(out).subspan(kHeaderBytes));
  };
  EXPECT_TRUE(refused({{1, 1}}, {2}));             // no such row
  EXPECT_TRUE(refused({{1, 2}}, {0}));             // more rows than indices
  EXPECT_TRUE(refused({{1, 1}}, {0, 1}));          // indices of no group
  EXPECT_TRUE(refused({{2, 1}, {1, 1}}, {0, 1}));  // descending
  EXPECT_TRUE(refused({{1, 0}}, {}));              // empty group
  EXPECT_FALSE(refused({{1, 1}, {1, 1}, {2, 1}}, {0, 1, 1}));
}

TEST(ExpertProtocol, RandomPayloadsNeverCrashADecoder) {
  Rng rng(5);
  for (int round = 0; round < 2000; ++round) {
    std::vector<std::uint32_t> words(rng.below(40));
    for (auto& word : words) word = static_cast<std::uint32_t>(rng.below(2) ? rng.below(6) : rng.next());
    const auto payload = std::as_bytes(std::span(words));
    (void)decode_hello(payload);
    (void)decode_hello_reply(payload);
    if (const auto batch = decode_batch(payload)) {
      EXPECT_EQ(batch->rows.size(), std::size_t{batch->row_count} * batch->hidden);
    }
    (void)decode_result(payload);
    (void)decode_prepare(payload);
    (void)decode_drain(payload);
    (void)decode_stats_reply(payload);
    (void)decode_error(payload);
  }
}

}  // namespace
}  // namespace flexpert::expert_protocol
