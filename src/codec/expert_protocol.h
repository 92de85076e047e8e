#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "fleet/expert_slot.h"

/// The wire protocol between a model server and expert servers, bytes to values and back; the specification is
/// docs/reference/expert-protocol.md. Values returned by decoders point into the payload they were given.
namespace flexpert::expert_protocol {

using Bytes = std::vector<std::byte>;

inline constexpr std::uint32_t kMagic = 0x50455846;  ///< "FXEP"
inline constexpr std::uint16_t kVersion = 1;
inline constexpr std::size_t kHeaderBytes = 40;
inline constexpr std::size_t kDefaultMaxPayload = 64U << 20;
/// What a peer may send before its hello was accepted.
inline constexpr std::size_t kMaxHelloPayload = 4096;
inline constexpr std::size_t kMaxText = 1024;

enum class FrameType : std::uint16_t {
  kHello = 1,
  kHelloReply = 2,
  kBatch = 3,
  kResult = 4,
  kCancel = 5,
  kPrepare = 6,
  kPrepareReply = 7,
  kDrain = 8,
  kDrainReply = 9,
  kStats = 10,
  kStatsReply = 11,
  kError = 12,
};

/// A frame whose header and checksums have been checked. `payload` points into the decoder's buffer.
struct Frame {
  FrameType type = FrameType::kError;
  std::uint64_t correlation = 0;
  std::span<const std::byte> payload;
};

struct Hello {
  std::string model_fingerprint;
  std::uint64_t model_epoch = 0;
  std::string kernel_identity;
  std::uint32_t hidden = 0;
  ExpertGeometry geometry;
};

struct HelloReply {
  std::string model_fingerprint;
  std::uint64_t model_epoch = 0;
  std::string kernel_identity;
  std::uint32_t hidden = 0;
  ExpertGeometry geometry;
  double pace_rows_per_s = 0;  ///< 0 = raw speed
  std::string instance;
};

/// One expert of a batch: the next `rows` row indices are its assignments.
struct BatchGroup {
  std::uint32_t expert = 0;
  std::uint32_t rows = 0;
};

struct Batch {
  std::uint32_t layer = 0;
  std::uint64_t step = 0;
  std::uint32_t hidden = 0;
  std::uint32_t row_count = 0;
  std::span<const BatchGroup> groups;        ///< experts never descend; one may come twice
  std::span<const std::uint32_t> row_indices;  ///< of all groups, one after the other
  std::span<const float> rows;               ///< row_count x hidden
  std::string_view instance;                 ///< for whom it is meant; empty = whoever listens
};

struct BatchResult {
  std::uint64_t service_ns = 0;    ///< time for this batch alone, without waiting; at the stated pace if there is one
  std::uint32_t queue_rows = 0;    ///< assignments that were waiting in front of this batch
  std::uint32_t hidden = 0;
  std::uint32_t assignments = 0;
  std::span<const float> outputs;  ///< assignments x hidden, in the order of the batch's row indices
};

struct SlotRows {
  ExpertSlot slot;
  std::uint64_t rows = 0;
};

struct Stats {
  std::uint64_t batches = 0;
  std::uint64_t rows = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t bytes_sent = 0;
  std::uint64_t connections = 0;           ///< open now
  std::uint64_t rejected_connections = 0;  ///< closed for malformed bytes
  std::uint64_t refused_hellos = 0;
  std::uint64_t queue_rows = 0;
  double pace_rows_per_s = 0;
  std::vector<SlotRows> slots;  ///< slots that were used, ascending
};

struct WireError {
  ErrorCode code = ErrorCode::kInternal;
  std::string text;
};

void encode(Bytes& out, std::uint64_t correlation, const Hello& hello);
void encode(Bytes& out, std::uint64_t correlation, const HelloReply& reply);
void encode(Bytes& out, std::uint64_t correlation, const Batch& batch);
void encode(Bytes& out, std::uint64_t correlation, const Stats& stats);
/// Texts over kMaxText are cut.
void encode(Bytes& out, std::uint64_t correlation, const WireError& error);
/// Frames that carry slots (prepare).
void encode_prepare(Bytes& out, std::uint64_t correlation, std::span<const ExpertSlot> slots);
void encode_drain(Bytes& out, std::uint64_t correlation, std::uint32_t deadline_ms);
/// Frames without a payload: cancel (of the batch with this correlation id), prepare_reply, drain_reply, stats.
void encode_empty(Bytes& out, std::uint64_t correlation, FrameType type);

/// A frame begun in a buffer whose floats the caller fills in place before it is finished. The span is valid until the
/// buffer is next appended to.
struct OpenFrame {
  std::size_t offset = 0;
  std::span<float> floats;
};
/// Appends a batch frame without its rows (batch.rows is ignored); finish with finish_frame().
OpenFrame begin_batch(Bytes& out, std::uint64_t correlation, const Batch& batch);
/// Appends a result frame without its outputs; finish with finish_result().
OpenFrame begin_result(Bytes& out, std::uint64_t correlation, std::uint32_t assignments, std::uint32_t hidden);
void finish_result(Bytes& out, const OpenFrame& frame, std::uint64_t service_ns, std::uint32_t queue_rows);
/// Writes length and checksums of the frame that begins at `frame.offset` and ends the buffer.
void finish_frame(Bytes& out, const OpenFrame& frame);

Result<Hello> decode_hello(std::span<const std::byte> payload);
Result<HelloReply> decode_hello_reply(std::span<const std::byte> payload);
/// Checks everything that can be checked without the model: sizes, order of groups, row indices in range.
/// `payload` must be aligned for float (a FrameDecoder's is).
Result<Batch> decode_batch(std::span<const std::byte> payload);
Result<BatchResult> decode_result(std::span<const std::byte> payload);
Result<std::vector<ExpertSlot>> decode_prepare(std::span<const std::byte> payload);
Result<std::uint32_t> decode_drain(std::span<const std::byte> payload);
Result<Stats> decode_stats_reply(std::span<const std::byte> payload);
Result<WireError> decode_error(std::span<const std::byte> payload);

/// Cuts a stream of bytes into frames. After an error the stream is lost and must be closed.
class FrameDecoder {
 public:
  explicit FrameDecoder(std::size_t max_payload = kDefaultMaxPayload) : max_payload_(max_payload) {}

  /// Bounds the payloads of the frames to come.
  void set_max_payload(std::size_t bytes) { max_payload_ = bytes; }
  /// Returns room for received bytes, at least `at_least`; invalidates frames.
  std::span<std::byte> space(std::size_t at_least = 65536);
  /// Says how many bytes were put there.
  void received(std::size_t bytes) { end_ += bytes; }
  /// Returns the next whole frame, or nothing when more bytes are needed. Errors (kDataLoss): foreign magic, other
  /// version, unknown type, length over the bound or not a multiple of 4, wrong checksum.
  Result<std::optional<Frame>> next();
  /// Returns how many bytes are still missing of the frame that has begun (at least 1).
  [[nodiscard]] std::size_t missing() const;
  void clear() { begin_ = end_ = 0; }

 private:
  std::size_t max_payload_;
  Bytes buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t wanted_ = kHeaderBytes;  // bytes of the frame at begin_, as far as known
};

}  // namespace flexpert::expert_protocol
