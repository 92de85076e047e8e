#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace flexpert::bench {

/// Hears of the events of streamed answers.
class EventSink {
 public:
  virtual ~EventSink() = default;
  /// `sent_at_ns`: when the backend sent it (CLOCK_MONOTONIC), 0 where the event does not say.
  virtual void on_event(std::int64_t sent_at_ns) = 0;
};

/// Reads answers of one kept connection, as fast as a load generator must: status, length or chunks, and server-sent events.
class AnswerReader {
 public:
  enum class Step { kMore, kDone, kBroken };

  /// Takes bytes of the current answer; `sink` may be null. kDone: it is whole (bytes behind it are an error, since the next
  /// request was not sent yet).
  Step take(std::string_view bytes, EventSink* sink);
  /// The connection has ended: tells whether that is how the answer ends.
  [[nodiscard]] bool ends_with_connection() const { return in_body_ && framing_ == Framing::kUntilClose; }
  /// Forgets everything: another answer begins.
  void reset();

  [[nodiscard]] int status() const { return status_; }
  [[nodiscard]] bool is_stream() const { return stream_; }
  [[nodiscard]] bool begun() const { return in_body_ || !head_.empty(); }
  /// Of a stream: [DONE] was seen.
  [[nodiscard]] bool saw_done() const { return done_; }
  [[nodiscard]] bool saw_error() const { return error_; }
  [[nodiscard]] bool closes() const { return closes_; }
  [[nodiscard]] std::uint64_t events() const { return events_; }
  [[nodiscard]] const std::string& head() const { return head_; }
  /// First bytes of a body that is no stream, for messages.
  [[nodiscard]] const std::string& beginning() const { return beginning_; }

 private:
  enum class Framing { kLength, kChunked, kUntilClose };
  enum class Chunk { kSize, kData, kDataEnd, kTrailer };

  bool take_head();
  Step take_chunks(std::string_view bytes, EventSink* sink);
  void take_body(std::string_view bytes, EventSink* sink);
  void take_events(std::string_view text, EventSink* sink);

  std::string head_;
  bool in_body_ = false;
  int status_ = 0;
  Framing framing_ = Framing::kLength;
  std::uint64_t left_ = 0;
  Chunk chunk_ = Chunk::kSize;
  std::string chunk_line_;
  bool stream_ = false;
  bool done_ = false;
  bool error_ = false;
  bool closes_ = false;
  std::uint64_t events_ = 0;
  std::string partial_event_;
  std::string beginning_;
};

}  // namespace flexpert::bench
