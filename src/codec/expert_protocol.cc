#include "codec/expert_protocol.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include <xxhash.h>

namespace flexpert::expert_protocol {

static_assert(std::endian::native == std::endian::little, "frames are little-endian and copied as they are");
static_assert(sizeof(BatchGroup) == 8 && sizeof(ExpertSlot) == 8, "these lie on the wire as they are");

namespace {

constexpr std::size_t kPayloadLengthAt = 12;
constexpr std::size_t kPayloadChecksumAt = 24;
constexpr std::size_t kHeaderChecksumAt = 32;
constexpr std::size_t kBatchFixedBytes = 32;
constexpr std::size_t kResultFixedBytes = 24;

template <class T>
void append(Bytes& out, T value) {
  const std::size_t at = out.size();
  out.resize(at + sizeof(T));
  std::memcpy(out.data() + at, &value, sizeof(T));
}

void append_bytes(Bytes& out, const void* data, std::size_t bytes) {
  if (bytes == 0) return;
  const std::size_t at = out.size();
  out.resize(at + bytes);
  std::memcpy(out.data() + at, data, bytes);
}

void append_text(Bytes& out, std::string_view text) {
  text = text.substr(0, kMaxText);
  append(out, static_cast<std::uint32_t>(text.size()));
  append_bytes(out, text.data(), text.size());
}

std::size_t begin_frame(Bytes& out, FrameType type, std::uint64_t correlation) {
  const std::size_t offset = out.size();
  append(out, kMagic);
  append(out, kVersion);
  append(out, static_cast<std::uint16_t>(type));
  append(out, std::uint32_t{0});  // flags
  append(out, std::uint32_t{0});  // payload length
  append(out, correlation);
  append(out, std::uint64_t{0});  // payload checksum
  append(out, std::uint64_t{0});  // header checksum
  return offset;
}

void end_frame(Bytes& out, std::size_t offset) {
  out.resize((out.size() + 3) / 4 * 4);
  std::byte* header = out.data() + offset;
  const std::size_t payload = out.size() - offset - kHeaderBytes;
  const auto length = static_cast<std::uint32_t>(payload);
  std::memcpy(header + kPayloadLengthAt, &length, sizeof(length));
  const std::uint64_t payload_checksum = XXH3_64bits(header + kHeaderBytes, payload);
  std::memcpy(header + kPayloadChecksumAt, &payload_checksum, sizeof(payload_checksum));
  const std::uint64_t header_checksum = XXH3_64bits(header, kHeaderChecksumAt);
  std::memcpy(header + kHeaderChecksumAt, &header_checksum, sizeof(header_checksum));
}

/// Reads values from the front of a payload; after the first that does not fit, ok() is false and all are zero.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> payload) : left_(payload) {}

  template <class T>
  T value() {
    T result{};
    if (const auto bytes = take(sizeof(T)); !bytes.empty()) std::memcpy(&result, bytes.data(), sizeof(T));
    return result;
  }
  std::string_view text() {
    const auto size = value<std::uint32_t>();
    if (size > kMaxText) {
      ok_ = false;
      return {};
    }
    const auto bytes = take(size);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  /// Returns `count` values in place. The payload must be aligned for T.
  template <class T>
  std::span<const T> array(std::size_t count) {
    if (!ok_ || count > left_.size() / sizeof(T)) {
      ok_ = false;
      return {};
    }
    const auto bytes = take(count * sizeof(T));
    return {reinterpret_cast<const T*>(bytes.data()), count};
  }
  [[nodiscard]] bool ok() const { return ok_; }
  /// Tells whether everything was read but for padding.
  [[nodiscard]] bool done() const { return ok_ && left_.size() < 4; }

 private:
  std::span<const std::byte> take(std::size_t bytes) {
    if (!ok_ || bytes > left_.size()) {
      ok_ = false;
      return {};
    }
    const auto front = left_.first(bytes);
    left_ = left_.subspan(bytes);
    return front;
  }

  std::span<const std::byte> left_;
  bool ok_ = true;
};

std::unexpected<Error> malformed(const char* frame, std::span<const std::byte> payload) {
  return fail(ErrorCode::kDataLoss, "expert protocol: malformed {} frame of {} payload bytes", frame, payload.size());
}

bool aligned(std::span<const std::byte> payload) { return reinterpret_cast<std::uintptr_t>(payload.data()) % alignof(float) == 0; }

bool known(std::uint16_t type) {
  return type >= static_cast<std::uint16_t>(FrameType::kHello) && type <= static_cast<std::uint16_t>(FrameType::kError);
}

}  // namespace

void encode(Bytes& out, std::uint64_t correlation, const Hello& hello) {
  const std::size_t offset = begin_frame(out, FrameType::kHello, correlation);
  append(out, hello.model_epoch);
  append(out, hello.hidden);
  append(out, hello.geometry.layers);
  append(out, hello.geometry.experts);
  append_text(out, hello.model_fingerprint);
  append_text(out, hello.kernel_identity);
  end_frame(out, offset);
}

void encode(Bytes& out, std::uint64_t correlation, const HelloReply& reply) {
  const std::size_t offset = begin_frame(out, FrameType::kHelloReply, correlation);
  append(out, reply.model_epoch);
  append(out, reply.hidden);
  append(out, reply.geometry.layers);
  append(out, reply.geometry.experts);
  append(out, reply.pace_rows_per_s);
  append_text(out, reply.model_fingerprint);
  append_text(out, reply.kernel_identity);
  append_text(out, reply.instance);
  end_frame(out, offset);
}

OpenFrame begin_batch(Bytes& out, std::uint64_t correlation, const Batch& batch) {
  const std::size_t offset = begin_frame(out, FrameType::kBatch, correlation);
  const std::string_view instance = batch.instance.substr(0, kMaxText);
  append(out, batch.step);
  append(out, batch.layer);
  append(out, batch.hidden);
  append(out, batch.row_count);
  append(out, static_cast<std::uint32_t>(batch.groups.size()));
  append(out, static_cast<std::uint32_t>(batch.row_indices.size()));
  append(out, static_cast<std::uint32_t>(instance.size()));
  append_bytes(out, batch.groups.data(), batch.groups.size_bytes());
  append_bytes(out, batch.row_indices.data(), batch.row_indices.size_bytes());
  append_bytes(out, instance.data(), instance.size());
  out.resize((out.size() - offset + 3) / 4 * 4 + offset);
  const std::size_t at = out.size();
  const std::size_t floats = static_cast<std::size_t>(batch.row_count) * batch.hidden;
  out.resize(at + floats * sizeof(float));
  return {offset, {reinterpret_cast<float*>(out.data() + at), floats}};
}

void encode(Bytes& out, std::uint64_t correlation, const Batch& batch) {
  const OpenFrame frame = begin_batch(out, correlation, batch);
  std::copy(batch.rows.begin(), batch.rows.end(), frame.floats.begin());
  finish_frame(out, frame);
}

OpenFrame begin_result(Bytes& out, std::uint64_t correlation, std::uint32_t assignments, std::uint32_t hidden) {
  const std::size_t offset = begin_frame(out, FrameType::kResult, correlation);
  append(out, std::uint64_t{0});  // service_ns
  append(out, std::uint32_t{0});  // queue_rows
  append(out, hidden);
  append(out, assignments);
  append(out, std::uint32_t{0});
  const std::size_t at = out.size();
  const std::size_t floats = static_cast<std::size_t>(assignments) * hidden;
  out.resize(at + floats * sizeof(float));
  return {offset, {reinterpret_cast<float*>(out.data() + at), floats}};
}

void finish_result(Bytes& out, const OpenFrame& frame, std::uint64_t service_ns, std::uint32_t queue_rows) {
  std::byte* payload = out.data() + frame.offset + kHeaderBytes;
  std::memcpy(payload, &service_ns, sizeof(service_ns));
  std::memcpy(payload + sizeof(service_ns), &queue_rows, sizeof(queue_rows));
  end_frame(out, frame.offset);
}

void finish_frame(Bytes& out, const OpenFrame& frame) { end_frame(out, frame.offset); }

void encode(Bytes& out, std::uint64_t correlation, const Stats& stats) {
  const std::size_t offset = begin_frame(out, FrameType::kStatsReply, correlation);
  for (const std::uint64_t value : {stats.batches, stats.rows, stats.bytes_received, stats.bytes_sent, stats.connections,
                                    stats.rejected_connections, stats.refused_hellos, stats.queue_rows})
    append(out, value);
  append(out, stats.pace_rows_per_s);
  append(out, static_cast<std::uint32_t>(stats.slots.size()));
  for (const SlotRows& slot : stats.slots) {
    append(out, slot.slot.layer);
    append(out, slot.slot.expert);
    append(out, slot.rows);
  }
  end_frame(out, offset);
}

void encode(Bytes& out, std::uint64_t correlation, const WireError& error) {
  const std::size_t offset = begin_frame(out, FrameType::kError, correlation);
  append(out, static_cast<std::uint32_t>(error.code));
  append_text(out, error.text);
  end_frame(out, offset);
}

void encode_prepare(Bytes& out, std::uint64_t correlation, std::span<const ExpertSlot> slots) {
  const std::size_t offset = begin_frame(out, FrameType::kPrepare, correlation);
  append(out, static_cast<std::uint32_t>(slots.size()));
  append_bytes(out, slots.data(), slots.size_bytes());
  end_frame(out, offset);
}

void encode_drain(Bytes& out, std::uint64_t correlation, std::uint32_t deadline_ms) {
  const std::size_t offset = begin_frame(out, FrameType::kDrain, correlation);
  append(out, deadline_ms);
  end_frame(out, offset);
}

void encode_empty(Bytes& out, std::uint64_t correlation, FrameType type) { end_frame(out, begin_frame(out, type, correlation)); }

Result<Hello> decode_hello(std::span<const std::byte> payload) {
  Reader reader(payload);
  Hello hello;
  hello.model_epoch = reader.value<std::uint64_t>();
  hello.hidden = reader.value<std::uint32_t>();
  hello.geometry.layers = reader.value<std::uint32_t>();
  hello.geometry.experts = reader.value<std::uint32_t>();
  hello.model_fingerprint = reader.text();
  hello.kernel_identity = reader.text();
  if (!reader.done()) return malformed("hello", payload);
  return hello;
}

Result<HelloReply> decode_hello_reply(std::span<const std::byte> payload) {
  Reader reader(payload);
  HelloReply reply;
  reply.model_epoch = reader.value<std::uint64_t>();
  reply.hidden = reader.value<std::uint32_t>();
  reply.geometry.layers = reader.value<std::uint32_t>();
  reply.geometry.experts = reader.value<std::uint32_t>();
  reply.pace_rows_per_s = reader.value<double>();
  reply.model_fingerprint = reader.text();
  reply.kernel_identity = reader.text();
  reply.instance = reader.text();
  if (!reader.done() || !(reply.pace_rows_per_s >= 0)) return malformed("hello_reply", payload);
  return reply;
}

Result<Batch> decode_batch(std::span<const std::byte> payload) {
  if (!aligned(payload) || payload.size() < kBatchFixedBytes) return malformed("batch", payload);
  Reader reader(payload);
  Batch batch;
  batch.step = reader.value<std::uint64_t>();
  batch.layer = reader.value<std::uint32_t>();
  batch.hidden = reader.value<std::uint32_t>();
  batch.row_count = reader.value<std::uint32_t>();
  const auto group_count = reader.value<std::uint32_t>();
  const auto assignments = reader.value<std::uint32_t>();
  const auto instance_size = reader.value<std::uint32_t>();
  batch.groups = reader.array<BatchGroup>(group_count);
  batch.row_indices = reader.array<std::uint32_t>(assignments);
  if (instance_size > kMaxText) return malformed("batch", payload);
  const auto instance = reader.array<char>((static_cast<std::size_t>(instance_size) + 3) / 4 * 4);
  if (!reader.ok()) return malformed("batch", payload);
  batch.instance = std::string_view(instance.data(), instance_size);
  // Both factors are below 2^32, so their product fits; array() compares it with what is there.
  batch.rows = reader.array<float>(static_cast<std::size_t>(batch.row_count) * batch.hidden);
  if (!reader.done() || batch.hidden == 0) return malformed("batch", payload);
  std::uint64_t counted = 0;
  for (std::size_t i = 0; i < batch.groups.size(); ++i) {
    counted += batch.groups[i].rows;
    if (batch.groups[i].rows == 0 || (i > 0 && batch.groups[i].expert < batch.groups[i - 1].expert)) return malformed("batch", payload);
  }
  if (counted != assignments) return malformed("batch", payload);
  for (const std::uint32_t row : batch.row_indices)
    if (row >= batch.row_count) return malformed("batch", payload);
  return batch;
}

Result<BatchResult> decode_result(std::span<const std::byte> payload) {
  if (!aligned(payload) || payload.size() < kResultFixedBytes) return malformed("result", payload);
  Reader reader(payload);
  BatchResult result;
  result.service_ns = reader.value<std::uint64_t>();
  result.queue_rows = reader.value<std::uint32_t>();
  result.hidden = reader.value<std::uint32_t>();
  result.assignments = reader.value<std::uint32_t>();
  reader.value<std::uint32_t>();
  result.outputs = reader.array<float>(static_cast<std::size_t>(result.assignments) * result.hidden);
  if (!reader.done()) return malformed("result", payload);
  return result;
}

Result<std::vector<ExpertSlot>> decode_prepare(std::span<const std::byte> payload) {
  Reader reader(payload);
  const auto count = reader.value<std::uint32_t>();
  if (!reader.ok() || count != (payload.size() - sizeof(count)) / sizeof(ExpertSlot)) return malformed("prepare", payload);
  std::vector<ExpertSlot> slots(count);
  for (ExpertSlot& slot : slots) {
    slot.layer = reader.value<std::uint32_t>();
    slot.expert = reader.value<std::uint32_t>();
  }
  if (!reader.done()) return malformed("prepare", payload);
  return slots;
}

Result<std::uint32_t> decode_drain(std::span<const std::byte> payload) {
  Reader reader(payload);
  const auto deadline_ms = reader.value<std::uint32_t>();
  if (!reader.done()) return malformed("drain", payload);
  return deadline_ms;
}

Result<Stats> decode_stats_reply(std::span<const std::byte> payload) {
  Reader reader(payload);
  Stats stats;
  for (std::uint64_t* value : {&stats.batches, &stats.rows, &stats.bytes_received, &stats.bytes_sent, &stats.connections,
                               &stats.rejected_connections, &stats.refused_hellos, &stats.queue_rows})
    *value = reader.value<std::uint64_t>();
  stats.pace_rows_per_s = reader.value<double>();
  const auto count = reader.value<std::uint32_t>();
  if (!reader.ok() || count > payload.size() / 16) return malformed("stats_reply", payload);
  stats.slots.resize(count);
  for (SlotRows& slot : stats.slots) {
    slot.slot.layer = reader.value<std::uint32_t>();
    slot.slot.expert = reader.value<std::uint32_t>();
    slot.rows = reader.value<std::uint64_t>();
  }
  if (!reader.done()) return malformed("stats_reply", payload);
  return stats;
}

Result<WireError> decode_error(std::span<const std::byte> payload) {
  Reader reader(payload);
  WireError error;
  const auto code = reader.value<std::uint32_t>();
  error.text = reader.text();
  if (!reader.done() || code > static_cast<std::uint32_t>(ErrorCode::kInternal)) return malformed("error", payload);
  error.code = static_cast<ErrorCode>(code);
  return error;
}

std::span<std::byte> FrameDecoder::space(std::size_t at_least) {
  if (begin_ == end_) {
    begin_ = end_ = 0;
  } else if (begin_ > 0 && buffer_.size() - end_ < at_least) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  // Grows with what has really arrived, never with what a header promises.
  if (buffer_.size() - end_ < at_least) buffer_.resize(std::max(end_ + at_least, buffer_.size() * 2));
  return std::span(buffer_).subspan(end_);
}

std::size_t FrameDecoder::missing() const {
  const std::size_t have = end_ - begin_;
  return wanted_ > have ? wanted_ - have : 1;
}

Result<std::optional<Frame>> FrameDecoder::next() {
  wanted_ = kHeaderBytes;
  if (end_ - begin_ < kHeaderBytes) return std::nullopt;
  Reader reader(std::span<const std::byte>(buffer_).subspan(begin_, kHeaderBytes));
  const auto magic = reader.value<std::uint32_t>();
  const auto version = reader.value<std::uint16_t>();
  const auto type = reader.value<std::uint16_t>();
  const auto flags = reader.value<std::uint32_t>();
  const auto length = reader.value<std::uint32_t>();
  const auto correlation = reader.value<std::uint64_t>();
  const auto payload_checksum = reader.value<std::uint64_t>();
  const auto header_checksum = reader.value<std::uint64_t>();
  if (magic != kMagic) return fail(ErrorCode::kDataLoss, "expert protocol: not a frame: magic {:#010x}, {:#010x} wanted", magic, kMagic);
  if (header_checksum != XXH3_64bits(buffer_.data() + begin_, kHeaderChecksumAt))
    return fail(ErrorCode::kDataLoss, "expert protocol: wrong checksum of a header");
  if (version != kVersion)
    return fail(ErrorCode::kFailedPrecondition, "expert protocol: version {} is not spoken here, only {}", version, kVersion);
  if (!known(type) || flags != 0) return fail(ErrorCode::kDataLoss, "expert protocol: unknown frame type {} or flags {:#x}", type, flags);
  if (length > max_payload_ || length % 4 != 0)
    return fail(ErrorCode::kDataLoss, "expert protocol: payload of {} bytes: at most {}, a multiple of 4", length, max_payload_);
  wanted_ = kHeaderBytes + length;
  if (end_ - begin_ < wanted_) return std::nullopt;
  const auto payload = std::span<const std::byte>(buffer_).subspan(begin_ + kHeaderBytes, length);
  if (payload_checksum != XXH3_64bits(payload.data(), payload.size()))
    return fail(ErrorCode::kDataLoss, "expert protocol: wrong checksum of a payload of {} bytes", length);
  begin_ += wanted_;
  wanted_ = kHeaderBytes;
  return Frame{static_cast<FrameType>(type), correlation, payload};
}

}  // namespace flexpert::expert_protocol
