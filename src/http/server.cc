// A convenience on top of Inbound: requests as values, answers through a handle that may be kept.
#include "http/server.h"

#include <algorithm>
#include <unordered_set>

#include "codec/http1.h"
#include "http/inbound.h"

namespace flexpert::http {
namespace {

bool is_framing_field(std::string_view name) {
  return equal_ignoring_case(name, "content-length") || equal_ignoring_case(name, "transfer-encoding") ||
         equal_ignoring_case(name, "connection") || equal_ignoring_case(name, "keep-alive");
}

std::string lines_of(const Headers& headers) {
  std::string lines;
  lines.reserve(256);
  for (const auto& [name, value] : headers.fields())
    if (!is_framing_field(name)) codec::append_http1_field(lines, name, value);
  return lines;
}

InboundLimits inbound_limits(const ServerLimits& limits) {
  return {.max_head_bytes = limits.max_head_bytes,
          .max_body_bytes = limits.max_body_bytes,
          .head_timeout = limits.head_timeout,
          .body_idle_timeout = limits.body_timeout,
          .body_grace = limits.body_timeout,
          .idle_timeout = limits.idle_timeout,
          .max_connections = limits.max_connections,
          .high_watermark_bytes = SIZE_MAX,
          .max_buffered_bytes = limits.max_buffered_response_bytes,
          .send_date = false};
}

Request request_of(const InboundExchange& exchange) {
  const codec::Http1RequestView& head = exchange.head();
  Request request{.method = std::string(head.method), .target = std::string(head.target), .body = std::string(exchange.body()), .peer = std::string(exchange.peer())};
  std::vector<std::pair<std::string, std::string>> fields;
  fields.reserve(head.fields.size());
  for (const codec::Http1FieldView& field : head.fields) fields.emplace_back(field.name, field.value);
  request.headers = Headers(std::move(fields));
  return request;
}

}  // namespace

struct Server::Impl final : InboundAcceptor, std::enable_shared_from_this<Server::Impl> {
  Impl(net::EventLoop& event_loop, ServerLimits server_limits, Handler request_handler)
      : loop(event_loop), limits(server_limits), handler(std::move(request_handler)), inbound(std::make_unique<Inbound>(event_loop, inbound_limits(server_limits), *this)) {}

  void on_request(InboundExchange& exchange) override;
  /// Leaves every exchange without a connection.
  void stop();

  net::EventLoop& loop;
  const ServerLimits limits;
  const Handler handler;
  std::unordered_set<Responder::Exchange*> exchanges;
  std::unique_ptr<Inbound> inbound;
};

/// What the copies of a Responder share.
class Responder::Exchange final : public InboundListener, public std::enable_shared_from_this<Responder::Exchange> {
 public:
  Exchange(std::shared_ptr<Server::Impl> server, InboundExchange& exchange) : server_(std::move(server)), exchange_(&exchange) {
    server_->exchanges.insert(this);
    exchange.set_listener(this);
  }
  /// Answers 500, or cuts a streamed answer, if nobody has ended it.
  ~Exchange() override {
    if (exchange_ != nullptr && started_) abort();
    else if (exchange_ != nullptr) respond(openai_error(500, "the request was dropped without an answer", "server_error"));
    server_->exchanges.erase(this);
  }

  void respond(const Response& response) {
    if (exchange_ == nullptr || started_) return;
    prepare(response.headers);
    std::exchange(exchange_, nullptr)->respond(response.status, lines_of(response.headers), response.body);
  }
  void start(int status, const Headers& headers) {
    if (exchange_ == nullptr || started_) return;
    started_ = true;
    prepare(headers);
    exchange_->start(status, lines_of(headers), std::nullopt);
  }
  void write(std::string_view chunk) {
    if (exchange_ == nullptr || !started_) return;
    // False: it lags too far behind and is cut off. The loop tells so later.
    if (!exchange_->write(chunk)) gone_ = true;
  }
  void finish() {
    if (exchange_ != nullptr && started_) std::exchange(exchange_, nullptr)->finish();
  }
  void abort() {
    if (exchange_ == nullptr) return;
    gone_ = true;
    std::exchange(exchange_, nullptr)->abort();
  }
  void on_disconnect(std::move_only_function<void()> callback) {
    if (exchange_ != nullptr) on_disconnect_ = std::move(callback);
    else if (gone_) callback();
  }
  void lose() {
    exchange_ = nullptr;
    gone_ = true;
  }
  [[nodiscard]] bool gone() const { return gone_; }
  [[nodiscard]] bool started() const { return started_ || (exchange_ == nullptr && !gone_); }
  [[nodiscard]] std::size_t buffered_bytes() const { return exchange_ != nullptr ? exchange_->buffered_bytes() : 0; }

 private:
  void on_client_gone() override {
    lose();
    if (auto callback = std::move(on_disconnect_)) callback();  // may drop the last copy
  }
  void prepare(const Headers& headers) {
    const auto connection = headers.find("connection");
    if (connection && equal_ignoring_case(*connection, "close")) exchange_->close_after_answer();
  }

  std::shared_ptr<Server::Impl> server_;
  InboundExchange* exchange_;  ///< null: over or gone
  bool started_ = false;
  bool gone_ = false;
  std::move_only_function<void()> on_disconnect_;
};

void Server::Impl::on_request(InboundExchange& exchange) {
  const auto self = shared_from_this();
  auto answering = std::make_shared<Responder::Exchange>(self, exchange);
  handler(request_of(exchange), Responder(std::move(answering)));
}

void Server::Impl::stop() {
  for (Responder::Exchange* const exchange : exchanges) exchange->lose();
  inbound.reset();
}

Server::Server(net::EventLoop& loop, ServerLimits limits, Handler handler) : impl_(std::make_shared<Impl>(loop, limits, std::move(handler))) {}

Server::~Server() { impl_->stop(); }

Result<net::Address> Server::listen(const net::Address& address) { return impl_->inbound->listen(address); }
Result<net::Address> Server::listen_on(net::UniqueFd listening) { return impl_->inbound->listen_on(std::move(listening)); }
void Server::drain(Duration deadline, std::move_only_function<void()> done, Duration linger) { impl_->inbound->drain(deadline, std::move(done), linger); }
std::size_t Server::open_connections() const { return impl_->inbound->open_connections(); }
std::size_t Server::active_exchanges() const { return impl_->inbound->active_exchanges(); }

void Responder::respond(Response response) {
  if (exchange_ != nullptr) exchange_->respond(response);
}
void Responder::start(int status, Headers headers) {
  if (exchange_ != nullptr) exchange_->start(status, headers);
}
void Responder::write(std::string_view chunk) {
  if (exchange_ != nullptr) exchange_->write(chunk);
}
void Responder::finish() {
  if (exchange_ != nullptr) exchange_->finish();
}
void Responder::abort() {
  if (exchange_ != nullptr) exchange_->abort();
}
void Responder::on_disconnect(std::move_only_function<void()> callback) {
  if (exchange_ != nullptr) exchange_->on_disconnect(std::move(callback));
}
bool Responder::gone() const { return exchange_ == nullptr || exchange_->gone(); }
bool Responder::started() const { return exchange_ != nullptr && exchange_->started(); }
std::size_t Responder::buffered_bytes() const { return exchange_ != nullptr ? exchange_->buffered_bytes() : 0; }

}  // namespace flexpert::http
