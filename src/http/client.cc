#include "http/client.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <vector>

#include "codec/http1.h"
#include "net/deadline_timer.h"
#include "net/stream.h"

namespace flexpert::http {
namespace {

class Connection;

/// A request that has been sent and not been answered to its end.
struct Exchange {
  Client::RequestId id = 0;
  net::Address address;
  std::string wire;
  bool is_head = false;
  bool retried = false;
  AnswerCallbacks callbacks;
  Connection* connection = nullptr;
};

bool is_made_here(std::string_view name) {
  return equal_ignoring_case(name, "host") || equal_ignoring_case(name, "content-length") ||
         equal_ignoring_case(name, "transfer-encoding") || equal_ignoring_case(name, "connection") ||
         equal_ignoring_case(name, "keep-alive") || equal_ignoring_case(name, "expect");
}

std::string wire_form(const net::Address& address, const Request& request) {
  std::string wire;
  wire.reserve(256 + request.body.size());
  codec::append_http1_request_line(wire, request.method, request.target);
  codec::append_http1_field(wire, "Host", address.is_unix ? "localhost" : address.to_string());
  for (const auto& [name, value] : request.headers.fields())
    if (!is_made_here(name)) codec::append_http1_field(wire, name, value);
  if (!request.body.empty() || request.method == "POST" || request.method == "PUT" || request.method == "PATCH")
    codec::append_http1_field(wire, "Content-Length", std::to_string(request.body.size()));
  wire += "\r\n";
  wire += request.body;
  return wire;
}

/// What a connection asks of its client.
class ConnectionOwner {
 public:
  virtual ~ConnectionOwner() = default;
  virtual void forget(Connection* connection) = 0;
  virtual void keep(Connection* connection) = 0;
  virtual void forget_exchange(Client::RequestId id) = 0;
  virtual void send_again(std::shared_ptr<Exchange> exchange) = 0;
  [[nodiscard]] virtual std::shared_ptr<ConnectionOwner> self() = 0;
};

class Connection final : public net::StreamHandler, public std::enable_shared_from_this<Connection> {
 public:
  Connection(net::EventLoop& loop, const ClientOptions& options, ConnectionOwner& owner, net::Address address)
      : loop_(loop), options_(options), owner_(&owner), address_(std::move(address)),
        parser_({.max_head_bytes = options.max_head_bytes}), timer_(loop, [this] { on_timeout(); }) {}

  Result<void> connect() {
    FLEXPERT_ASSIGN(stream_, net::Stream::connect(loop_, address_, options_.connect_timeout, this));
    return {};
  }
  void send(std::shared_ptr<Exchange> exchange);
  void close();
  [[nodiscard]] const net::Address& address() const { return address_; }

 private:
  void on_connected() override { timer_.set(options_.head_timeout); }
  void on_drained() override {
    if (exchange_ != nullptr && !head_read_) timer_.set(options_.head_timeout);
  }
  void on_bytes(std::string_view bytes) override;
  void on_closed(const Error* error) override;
  void on_timeout();
  bool take(const codec::Http1Step& step, std::string_view rest);
  void finish(bool keep);
  void fail(Error error);

  net::EventLoop& loop_;
  const ClientOptions options_;
  ConnectionOwner* owner_;
  const net::Address address_;
  codec::Http1ResponseParser parser_;
  net::DeadlineTimer timer_;
  std::unique_ptr<net::Stream> stream_;
  std::shared_ptr<Exchange> exchange_;  ///< null while kept idle
  bool used_before_ = false;
  bool anything_read_ = false;
  bool head_read_ = false;
  bool informational_ = false;
};

void Connection::send(std::shared_ptr<Exchange> exchange) {
  exchange_ = std::move(exchange);
  exchange_->connection = this;
  anything_read_ = false;
  head_read_ = false;
  parser_.set_answers_head(exchange_->is_head);
  if (used_before_) timer_.set(options_.head_timeout);  // else when connected: until then the connect has its own timeout
  stream_->write(exchange_->wire);
}

void Connection::close() {
  if (stream_) stream_->close();
  timer_.clear();
  exchange_ = nullptr;
}

void Connection::on_bytes(std::string_view bytes) {
  const auto self = shared_from_this();
  const auto owner = owner_->self();
  if (exchange_ == nullptr) {  // a kept connection has nothing to say
    close();
    owner->forget(this);
    return;
  }
  anything_read_ = true;
  if (head_read_) timer_.set(options_.idle_timeout);
  while (exchange_ != nullptr) {
    const codec::Http1Step step = parser_.next(bytes);
    bytes.remove_prefix(step.consumed);
    if (!take(step, bytes)) return;
  }
}

/// Acts on one event. Returns whether there may be another.
bool Connection::take(const codec::Http1Step& step, std::string_view rest) {
  const auto exchange = exchange_;  // a callback may cancel it
  switch (step.event) {
    case codec::Http1Event::kNeedMore: return false;
    case codec::Http1Event::kError:
      fail({ErrorCode::kInvalidArgument, fmt::format("malformed answer from {}: {}", address_.to_string(), parser_.error().message)});
      return false;
    case codec::Http1Event::kHead: {
      informational_ = parser_.response().status < 200;
      if (informational_) return true;
      head_read_ = true;
      timer_.set(options_.idle_timeout);
      const Headers headers(std::move(parser_.response().fields));
      if (exchange->callbacks.on_head) exchange->callbacks.on_head(parser_.response().status, headers);
      return exchange_ == exchange;
    }
    case codec::Http1Event::kBody:
      if (exchange->callbacks.on_body) exchange->callbacks.on_body(step.bytes);
      return exchange_ == exchange;
    case codec::Http1Event::kEnd:
      if (informational_) return true;
      finish(parser_.response().keep_alive && rest.empty() && stream_->buffered_bytes() == 0);
      return false;
  }
  return false;
}

void Connection::finish(bool keep) {
  const auto exchange = std::move(exchange_);
  exchange_ = nullptr;
  owner_->forget_exchange(exchange->id);
  if (keep) {
    used_before_ = true;
    timer_.set(options_.keep_idle);
    owner_->keep(this);
  } else {
    close();
    owner_->forget(this);
  }
  if (exchange->callbacks.on_end) exchange->callbacks.on_end();
}

void Connection::fail(Error error) {
  const auto exchange = std::move(exchange_);
  close();
  owner_->forget_exchange(exchange->id);
  owner_->forget(this);
  if (exchange->callbacks.on_error) exchange->callbacks.on_error(std::move(error));
}

void Connection::on_closed(const Error* error) {
  const auto self = shared_from_this();
  const auto owner = owner_->self();
  if (exchange_ == nullptr) {
    close();
    owner->forget(this);
    return;
  }
  if (error == nullptr && head_read_ && parser_.finish() == codec::Http1Event::kEnd) return finish(false);
  if (!anything_read_ && used_before_ && !exchange_->retried) {
    auto exchange = std::move(exchange_);
    exchange->retried = true;
    close();
    owner->forget(this);
    owner->send_again(std::move(exchange));
    return;
  }
  const std::string why = error != nullptr ? error->message : "the connection was closed";
  if (anything_read_) fail({ErrorCode::kDataLoss, fmt::format("the answer from {} broke off: {}", address_.to_string(), why)});
  else fail({ErrorCode::kUnavailable, fmt::format("no answer from {}: {}", address_.to_string(), why)});
}

void Connection::on_timeout() {
  const auto self = shared_from_this();
  const auto owner = owner_->self();
  if (exchange_ != nullptr)
    return fail({ErrorCode::kDeadlineExceeded, fmt::format("{} did not {} in time", address_.to_string(),
                                                           head_read_ ? "go on with its answer" : "answer")});
  close();
  owner->forget(this);
}

}  // namespace

struct Client::Impl final : ConnectionOwner, std::enable_shared_from_this<Client::Impl> {
  Impl(net::EventLoop& event_loop, ClientOptions client_options) : loop(event_loop), options(client_options) {}

  void forget(Connection* connection) override {
    if (const auto idle = kept.find(connection->address()); idle != kept.end()) {
      std::erase(idle->second, connection);
      if (idle->second.empty()) kept.erase(idle);
    }
    connections.erase(connection);
  }
  void keep(Connection* connection) override {
    std::vector<Connection*>& idle = kept[connection->address()];
    idle.push_back(connection);
    if (idle.size() <= options.max_idle_connections) return;
    Connection* const oldest = idle.front();
    oldest->close();
    forget(oldest);
  }
  void forget_exchange(RequestId id) override { exchanges.erase(id); }
  void send_again(std::shared_ptr<Exchange> exchange) override { send_fresh(std::move(exchange)); }
  std::shared_ptr<ConnectionOwner> self() override { return shared_from_this(); }

  void send(std::shared_ptr<Exchange> exchange) {
    const auto idle = kept.find(exchange->address);
    if (idle == kept.end()) return send_fresh(std::move(exchange));
    Connection* const connection = idle->second.back();
    idle->second.pop_back();
    if (idle->second.empty()) kept.erase(idle);
    connection->send(std::move(exchange));
  }
  void send_fresh(std::shared_ptr<Exchange> exchange) {
    auto connection = std::make_shared<Connection>(loop, options, *this, exchange->address);
    if (auto connected = connection->connect(); !connected)
      return fail_later(exchange->id, {ErrorCode::kUnavailable, std::move(connected.error().message)});
    connections.emplace(connection.get(), connection);
    connection->send(std::move(exchange));
  }
  void fail_later(RequestId id, Error error) {
    if (const auto found = exchanges.find(id); found != exchanges.end()) found->second->connection = nullptr;
    loop.post([weak = weak_from_this(), id, reason = std::move(error)]() mutable {
      const auto impl = weak.lock();
      if (impl == nullptr) return;
      const auto found = impl->exchanges.find(id);
      if (found == impl->exchanges.end()) return;
      const auto exchange = std::move(found->second);
      impl->exchanges.erase(found);
      if (exchange->callbacks.on_error) exchange->callbacks.on_error(std::move(reason));
    });
  }
  void close_everything() {
    const auto closing = std::exchange(connections, {});
    for (const auto& [raw, connection] : closing) connection->close();
    exchanges.clear();
    kept.clear();
  }

  net::EventLoop& loop;
  const ClientOptions options;
  RequestId next_id = 1;
  std::unordered_map<RequestId, std::shared_ptr<Exchange>> exchanges;
  std::unordered_map<Connection*, std::shared_ptr<Connection>> connections;
  std::map<net::Address, std::vector<Connection*>> kept;  ///< the most recently used last
};

Client::Client(net::EventLoop& loop, ClientOptions options) : impl_(std::make_shared<Impl>(loop, options)) {}

Client::~Client() { impl_->close_everything(); }

Client::RequestId Client::send(const net::Address& address, Request request, AnswerCallbacks callbacks) {
  auto exchange = std::make_shared<Exchange>();
  exchange->id = impl_->next_id++;
  exchange->address = address;
  exchange->is_head = request.method == "HEAD";
  exchange->callbacks = std::move(callbacks);
  const RequestId id = exchange->id;
  impl_->exchanges.emplace(id, exchange);
  if (!codec::http1_is_token(request.method) || !codec::http1_is_target(request.target)) {
    impl_->fail_later(id, {ErrorCode::kInvalidArgument, fmt::format("not a request that can be sent: '{} {}'", request.method, request.target)});
    return id;
  }
  exchange->wire = wire_form(address, request);
  impl_->send(std::move(exchange));
  return id;
}

void Client::cancel(RequestId id) {
  const auto found = impl_->exchanges.find(id);
  if (found == impl_->exchanges.end()) return;
  const auto exchange = std::move(found->second);
  impl_->exchanges.erase(found);
  if (exchange->connection == nullptr) return;
  Connection* const connection = exchange->connection;
  connection->close();
  impl_->forget(connection);
}

}  // namespace flexpert::http
