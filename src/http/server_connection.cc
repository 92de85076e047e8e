#include "http/server_connection.h"

#include <algorithm>

#include "net/socket.h"

namespace flexpert::http {
namespace {

/// How long a connection that we end is kept open for the client to read the answer and close.
constexpr Duration kLinger = Seconds(2);

bool is_framing_field(std::string_view name) {
  return equal_ignoring_case(name, "content-length") || equal_ignoring_case(name, "transfer-encoding") ||
         equal_ignoring_case(name, "connection") || equal_ignoring_case(name, "keep-alive");
}

bool asks_to_close(const Headers& headers) {
  const auto connection = headers.find("connection");
  return connection && equal_ignoring_case(*connection, "close");
}

bool status_has_no_body(int status) { return status == 204 || status == 304 || status < 200; }

}  // namespace

Responder::Exchange::~Exchange() {
  if (connection_ == nullptr) return;
  ServerConnection& connection = *connection_;
  if (started_) connection.abort();
  else connection.respond(openai_error(500, "the request was dropped without an answer", "server_error"));
}

ServerConnection::ServerConnection(std::shared_ptr<ServerState> state, std::uint64_t id, net::UniqueFd fd)
    : state_(std::move(state)), id_(id), peer_(net::peer_name(fd.get())), stream_(state_->loop, std::move(fd), this),
      timer_(state_->loop, [this] { on_timeout(); }), parser_({.max_head_bytes = state_->limits.max_head_bytes}) {
  timer_.set(state_->limits.idle_timeout);
}

ServerConnection::~ServerConnection() { close(); }

bool ServerConnection::settled() const {
  const bool quiet = phase_ == Phase::kIdle || phase_ == Phase::kLingering;
  return quiet && pending_.empty() && stream_.buffered_bytes() == 0;
}

void ServerConnection::close() {
  stream_.close();
  timer_.clear();
  if (exchange_ == nullptr) return;
  exchange_->gone_ = true;
  exchange_->connection_ = nullptr;
  exchange_ = nullptr;
  --state_->active_exchanges;
}

void ServerConnection::on_bytes(std::string_view bytes) {
  const auto self = shared_from_this();
  if (phase_ == Phase::kLingering) return;
  if (exchange_ == nullptr) return process(bytes);
  pending_.append(bytes);
  if (pending_.size() > state_->limits.max_head_bytes) stream_.set_reading(false);
}

void ServerConnection::on_drained() {
  const auto self = shared_from_this();
  if (phase_ == Phase::kLingering) timer_.set(kLinger);
  if (state_->on_change) state_->on_change();
}

void ServerConnection::on_closed(const Error*) {
  const auto self = shared_from_this();
  lose_client();
}

/// The client has gone, or must go: whoever is answering it hears of it.
void ServerConnection::lose_client() {
  std::move_only_function<void()> callback;
  if (exchange_ != nullptr) callback = std::move(exchange_->on_disconnect_);
  close();
  state_->connections.erase(id_);
  if (state_->on_change) state_->on_change();
  if (callback) callback();
}

void ServerConnection::on_timeout() {
  const auto self = shared_from_this();
  switch (phase_) {
    case Phase::kHead: return refuse(408, "the request's header section did not come in time");
    case Phase::kBody: return refuse(408, "the request's body did not come in time");
    case Phase::kIdle:
    case Phase::kLingering: return lose_client();
    case Phase::kAnswering: return;
  }
}

void ServerConnection::set_phase(Phase phase) {
  if (phase == phase_ && phase != Phase::kIdle) return;  // a slow request does not get more time by the byte
  phase_ = phase;
  switch (phase) {
    case Phase::kIdle: timer_.set(state_->limits.idle_timeout); break;
    case Phase::kHead: timer_.set(state_->limits.head_timeout); break;
    case Phase::kBody: timer_.set(state_->limits.body_timeout); break;
    case Phase::kAnswering: timer_.clear(); break;
    case Phase::kLingering: timer_.set(stream_.buffered_bytes() > 0 ? state_->limits.idle_timeout : kLinger); break;
  }
}

void ServerConnection::process(std::string_view input) {
  processing_ = true;
  while (stream_.open() && exchange_ == nullptr && phase_ != Phase::kLingering) {
    const codec::Http1Step step = parser_.next(input);
    input.remove_prefix(step.consumed);
    if (step.event == codec::Http1Event::kNeedMore) {
      if (!parser_.in_message()) set_phase(Phase::kIdle);
      else if (phase_ != Phase::kBody) set_phase(Phase::kHead);
      if (continue_owed_) stream_.write("HTTP/1.1 100 Continue\r\n\r\n");
      continue_owed_ = false;
      break;
    }
    if (step.event == codec::Http1Event::kError) {
      refuse(parser_.error().status, parser_.error().message);
    } else if (step.event == codec::Http1Event::kHead) {
      if (take_head()) set_phase(Phase::kBody);
    } else if (step.event == codec::Http1Event::kBody) {
      continue_owed_ = false;
      if (body_.size() + step.bytes.size() > state_->limits.max_body_bytes)
        refuse(413, fmt::format("the request's body is larger than {} bytes", state_->limits.max_body_bytes));
      else
        body_.append(step.bytes);
    } else if (step.event == codec::Http1Event::kEnd) {
      dispatch();
    }
  }
  processing_ = false;
  if (stream_.open() && exchange_ != nullptr) pending_.append(input);
}

/// Reads on in what came behind the request that was just answered.
void ServerConnection::resume() {
  stream_.set_reading(true);
  const std::string queued = std::exchange(pending_, {});
  process(queued);
}

bool ServerConnection::take_head() {
  const codec::Http1RequestHead& head = parser_.request();
  if (head.framing == codec::Http1Framing::kLength && head.content_length > state_->limits.max_body_bytes) {
    refuse(413, fmt::format("the request's body is larger than {} bytes", state_->limits.max_body_bytes));
    return false;
  }
  body_.clear();
  if (head.framing == codec::Http1Framing::kLength) body_.reserve(std::min<std::size_t>(head.content_length, 64 * 1024));
  continue_owed_ = head.expects_continue && head.framing != codec::Http1Framing::kNone;
  return true;
}

void ServerConnection::dispatch() {
  codec::Http1RequestHead& head = parser_.request();
  answers_head_ = head.method == "HEAD";
  client_is_1_0_ = head.minor_version == 0;
  client_keeps_alive_ = head.keep_alive;
  Request request{.method = std::move(head.method),
                  .target = std::move(head.target),
                  .headers = Headers(std::move(head.fields)),
                  .body = std::exchange(body_, {}),
                  .peer = peer_};
  auto exchange = std::make_shared<Responder::Exchange>(this);
  exchange_ = exchange.get();
  ++state_->active_exchanges;
  continue_owed_ = false;
  set_phase(Phase::kAnswering);
  state_->handler(std::move(request), Responder(std::move(exchange)));
}

std::string ServerConnection::head_of(int status, const Headers& headers, bool keep_alive) const {
  std::string head;
  head.reserve(256);
  codec::append_http1_status_line(head, status, reason_phrase(status));
  for (const auto& [name, value] : headers.fields())
    if (!is_framing_field(name)) codec::append_http1_field(head, name, value);
  if (!keep_alive) head += "Connection: close\r\n";
  else if (client_is_1_0_) head += "Connection: keep-alive\r\n";
  return head;
}

void ServerConnection::send_whole(const Response& response, bool keep_alive) {
  std::string head = head_of(response.status, response.headers, keep_alive);
  const bool no_body = status_has_no_body(response.status);
  if (!no_body) codec::append_http1_field(head, "Content-Length", std::to_string(response.body.size()));
  head += "\r\n";
  stream_.write({head, no_body || answers_head_ ? std::string_view() : std::string_view(response.body)});
}

void ServerConnection::refuse(int status, std::string_view message) {
  answers_head_ = false;
  client_is_1_0_ = false;
  send_whole(openai_error(status, message, "invalid_request_error"), false);
  linger();
}

void ServerConnection::respond(Response response) {
  const auto self = shared_from_this();
  const bool keep_alive = client_keeps_alive_ && !state_->draining && !asks_to_close(response.headers);
  send_whole(response, keep_alive);
  end_exchange(keep_alive);
}

void ServerConnection::start(int status, const Headers& headers) {
  answer_has_no_body_ = answers_head_ || status_has_no_body(status);
  answer_keeps_alive_ = client_keeps_alive_ && !client_is_1_0_ && !state_->draining && !asks_to_close(headers);
  std::string head = head_of(status, headers, answer_keeps_alive_);
  if (!client_is_1_0_ && !status_has_no_body(status)) head += "Transfer-Encoding: chunked\r\n";
  head += "\r\n";
  stream_.write(head);
}

void ServerConnection::write(std::string_view chunk) {
  if (chunk.empty() || answer_has_no_body_) return;
  if (client_is_1_0_) stream_.write(chunk);
  else stream_.write({codec::http1_chunk_prefix(chunk.size()), chunk, "\r\n"});
  if (stream_.buffered_bytes() <= state_->limits.max_buffered_response_bytes) return;
  // The caller is in the middle of something: its callback runs from the loop, if anybody still holds the Responder.
  const auto self = shared_from_this();
  const std::weak_ptr<Responder::Exchange> exchange = exchange_->weak_from_this();
  auto callback = std::move(exchange_->on_disconnect_);
  lose_client();
  if (!callback) return;
  state_->loop.post([exchange, notify = std::move(callback)]() mutable {
    if (!exchange.expired()) notify();
  });
}

void ServerConnection::finish() {
  const auto self = shared_from_this();
  if (!answer_has_no_body_ && !client_is_1_0_) stream_.write(codec::kHttp1LastChunk);
  end_exchange(answer_keeps_alive_);
}

void ServerConnection::abort() {
  const auto self = shared_from_this();
  exchange_->on_disconnect_ = nullptr;
  stream_.reset();
  lose_client();
}

void ServerConnection::end_exchange(bool keep_alive) {
  exchange_->connection_ = nullptr;
  exchange_ = nullptr;
  --state_->active_exchanges;
  if (!keep_alive || state_->draining) linger();
  else {
    phase_ = Phase::kIdle;
    if (!processing_) resume();
  }
  if (state_->on_change) state_->on_change();
}

/// Ends the connection from our side, and waits a moment for the client to do the same: closing at once, with bytes of
/// the client unread, would make the kernel throw away the answer that is on its way.
void ServerConnection::linger() {
  pending_.clear();
  stream_.shutdown_when_drained();
  stream_.set_reading(true);
  set_phase(Phase::kLingering);
}

}  // namespace flexpert::http
