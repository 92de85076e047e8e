// The writing half of a connection: answers, and how they end.
#include <sys/epoll.h>

#include <algorithm>

#include "base/decimal.h"
#include "http/inbound_connection.h"
#include "http/message.h"

namespace flexpert::http {
namespace {

/// Room for what is added to the field lines of a head.
constexpr std::size_t kAddedToHead = 256;
/// Heads and answers up to this size are put together for one send; larger bodies are sent from where they are.
constexpr std::size_t kCopied = 16 * 1024;

bool status_has_no_body(int status) { return status == 204 || status == 304 || status < 200; }

}  // namespace

bool InboundConnection::may_keep_alive() const {
  const std::size_t most = shared_.limits.max_requests_per_connection;
  const bool all_received = state_ == State::kAnswering || body_is_whole();
  return keep_alive_ && all_received && !shared_.draining && (most == 0 || requests_ < most);
}

/// Writes a head to `to`, which has room for the field lines and kAddedToHead.
std::string_view InboundConnection::compose(char* to, int status, std::string_view field_lines, std::optional<std::uint64_t> length,
                                            bool chunked) {
  char* at = write_text(write_status_line(to, status), field_lines);
  if (!keep_alive_) at = write_text(at, "Connection: close\r\n");
  else if (client_is_1_0_) at = write_text(at, "Connection: keep-alive\r\n");
  if (length) at = write_text(write_decimal(write_text(at, "Content-Length: "), *length), "\r\n");
  else if (chunked) at = write_text(at, "Transfer-Encoding: chunked\r\n");
  if (shared_.limits.send_date) at = write_text(at, shared_.date.at(shared_.loop.now()));
  at = write_text(at, "\r\n");
  return {to, static_cast<std::size_t>(at - to)};
}

void InboundConnection::respond(int status, std::string_view field_lines, std::string_view body) {
  if (!in_exchange_ || started_) return;
  keep_alive_ = may_keep_alive();
  const bool no_body = status_has_no_body(status);
  const std::optional<std::uint64_t> length = no_body ? std::nullopt : std::optional<std::uint64_t>(body.size());
  const std::string_view sent = no_body || answers_head_ ? std::string_view() : body;
  const std::size_t room = field_lines.size() + kAddedToHead;
  char* const to = out_.room(shared_.pool, sent.size() <= kCopied ? room + sent.size() : room);
  const std::string_view head = compose(to, status, field_lines, length, false);
  out_.added(head.size());
  if (sent.size() <= kCopied) {
    out_.append(shared_.pool, sent);
    shared_.connections.touch(*this);
  } else {
    send_now({}, sent);
  }
  end_exchange(keep_alive_);
}

void InboundConnection::start(int status, std::string_view field_lines, std::optional<std::uint64_t> content_length) {
  if (!in_exchange_ || started_) return;
  started_ = true;
  const bool none = status_has_no_body(status);
  no_body_ = answers_head_ || none;
  counted_answer_ = content_length.has_value() && !none;
  chunked_answer_ = !content_length && !none && !client_is_1_0_;
  answer_left_ = counted_answer_ && !no_body_ ? *content_length : 0;
  keep_alive_ = may_keep_alive() && (counted_answer_ || chunked_answer_ || none);
  if (state_ == State::kBody) {  // refused before its body came
    state_ = State::kAnswering;
    arm_timer();
  }
  char* const to = out_.room(shared_.pool, field_lines.size() + kAddedToHead);
  out_.added(compose(to, status, field_lines, counted_answer_ ? content_length : std::nullopt, chunked_answer_).size());
  shared_.connections.touch(*this);
}

bool InboundConnection::write(std::string_view piece) {
  if (!in_exchange_ || !started_ || failed_) return false;
  if (counted_answer_) {
    piece = piece.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), answer_left_)));
    answer_left_ -= piece.size();
  }
  if (piece.empty() || no_body_) return true;
  constexpr std::size_t kChunkLines = 24;
  if (chunked_answer_) {
    char* const to = out_.room(shared_.pool, kChunkLines + (piece.size() <= kCopied ? piece.size() : 0));
    out_.added(static_cast<std::size_t>(write_text(write_hex(to, piece.size()), "\r\n") - to));
  }
  const std::string_view line_end = chunked_answer_ ? "\r\n" : "";
  if (piece.size() > kCopied) {
    send_now(line_end, piece);
  } else {
    out_.append(shared_.pool, piece);
    out_.append(shared_.pool, line_end);
    if (out_.size() > kCopied && !blocked_) flush();
    else shared_.connections.touch(*this);
  }
  if (out_.size() > shared_.limits.max_buffered_bytes) cut_off();
  lagging_ = out_.size() >= shared_.limits.high_watermark_bytes || failed_;
  return !lagging_;
}

/// Sends what is buffered, `body` from where it is, and `end`; what the kernel does not take is buffered.
void InboundConnection::send_now(std::string_view end, std::string_view body) {
  std::size_t sent = 0;
  const std::size_t before = out_.size();
  if (!blocked_ && !failed_) {
    const std::array<iovec, 3> parts = {iovec{const_cast<char*>(out_.data()), before}, iovec{const_cast<char*>(body.data()), body.size()},
                                        iovec{const_cast<char*>(end.data()), end.size()}};
    const net::Channel::Sent took = channel_.write(parts);
    if (took.error != 0) return cut_off();
    sent = took.bytes;
  }
  const std::size_t of_buffer = std::min(sent, before);
  if (of_buffer > 0) out_.consume(shared_.pool, of_buffer);
  sent -= of_buffer;
  const std::size_t of_body = std::min(sent, body.size());
  out_.append(shared_.pool, body.substr(of_body));
  out_.append(shared_.pool, end.substr(sent - of_body));
  if (!out_.empty()) shared_.connections.touch(*this);
}

void InboundConnection::finish() {
  if (!in_exchange_ || !started_) return;
  if (answer_left_ > 0) return abort();
  if (chunked_answer_ && !no_body_) {
    out_.append(shared_.pool, codec::kHttp1LastChunk);
    shared_.connections.touch(*this);
  }
  end_exchange(keep_alive_);
}

void InboundConnection::abort() {
  if (!in_exchange_) return;
  reset_ = !started_ || (!counted_answer_ && !chunked_answer_);  // an orderly end would look like the answer's
  end_exchange(false);
}

/// Gives the connection up: it is closed, and the listener told, when it is settled.
void InboundConnection::cut_off() {
  failed_ = true;
  out_.clear(shared_.pool);
  shared_.connections.touch(*this);
}

void InboundConnection::refuse(int status, std::string_view message) {
  const Response answer = openai_error(status, message, "invalid_request_error");
  InboundListener* const listener = in_exchange_ ? std::exchange(listener_, nullptr) : nullptr;
  if (in_exchange_) --shared_.active_exchanges;
  in_exchange_ = false;
  keep_alive_ = false;
  client_is_1_0_ = false;
  constexpr std::string_view kType = "Content-Type: application/json\r\n";
  char* const to = out_.room(shared_.pool, kType.size() + kAddedToHead);
  out_.added(compose(to, status, kType, answer.body.size(), false).size());
  const bool answers_head = slot_ != nullptr && slot_->head.method == "HEAD";  // as far as it could be read
  if (!answers_head) out_.append(shared_.pool, answer.body);
  linger();
  shared_.acceptor.on_refused(status, peer(), message);
  if (listener != nullptr && !closed_) listener->on_client_gone();
}

void InboundConnection::end_exchange(bool keep_alive) {
  if (in_exchange_) --shared_.active_exchanges;
  in_exchange_ = false;
  started_ = false;
  listener_ = nullptr;
  lagging_ = false;
  release_input();
  if (!keep_alive || shared_.draining) {
    linger();
  } else {
    state_ = State::kIdle;
    arm_timer();
    if (!processing_ && (readable_ || !pending_.empty())) {
      resume_ = true;
      shared_.connections.touch(*this);
    }
  }
  if (shared_.draining && shared_.on_change) shared_.on_change();
}

/// Ends the connection from our side, and waits a moment for the client to do the same: closing at once, with bytes of
/// the client unread, would make the kernel throw away the answer that is on its way.
void InboundConnection::linger() {
  pending_.clear();
  pending_.shrink_to_fit();
  release_input();
  state_ = State::kLingering;
  resume_ = readable_;
  arm_timer();
  shared_.connections.touch(*this);
}

void InboundConnection::flush() {
  while (!out_.empty() && !failed_) {
    const net::Channel::Sent sent = channel_.write(out_.data(), out_.size());
    if (sent.error != 0) return cut_off();
    if (sent.bytes == 0) {
      blocked_ = true;
      return arm_timer();
    }
    out_.consume(shared_.pool, sent.bytes);
  }
}

void InboundConnection::settle() {
  if (closed_) return;
  if (!blocked_) flush();
  if (failed_) return lose_client();
  if (out_.empty()) {
    if (state_ == State::kLingering && !std::exchange(write_shut_, true)) {
      if (reset_) {
        shared_.loop.unwatch(channel_.fd());
        channel_.reset();
        return lose_client();
      }
      channel_.shut_down_writing();
    }
    if (std::exchange(write_timer_, false)) arm_timer();
    if (std::exchange(lagging_, false) && listener_ != nullptr) listener_->on_writable();
    if (closed_) return;
    if (shared_.draining && shared_.on_change) shared_.on_change();
  }
  if (closed_ || !std::exchange(resume_, false)) return;
  if (!pending_.empty() && state_ == State::kIdle) process(std::exchange(pending_, {}));
  if (!closed_) read_more();
}

}  // namespace flexpert::http
