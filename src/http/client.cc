// A convenience on top of Outbound: requests and answers as values, one upstream for each address.
#include "http/client.h"

#include <map>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "codec/http1.h"
#include "http/outbound.h"

namespace flexpert::http {
namespace {

/// So many addresses are kept before those without a connection are forgotten.
constexpr std::size_t kManyUpstreams = 64;

bool is_made_here(std::string_view name) {
  return equal_ignoring_case(name, "host") || equal_ignoring_case(name, "content-length") ||
         equal_ignoring_case(name, "transfer-encoding") || equal_ignoring_case(name, "connection") ||
         equal_ignoring_case(name, "keep-alive") || equal_ignoring_case(name, "expect");
}

std::string head_of(const net::Address& address, const Request& request) {
  std::string head;
  head.reserve(256);
  codec::append_http1_request_line(head, request.method, request.target);
  codec::append_http1_field(head, "Host", address.is_unix ? "localhost" : address.to_string());
  for (const auto& [name, value] : request.headers.fields())
    if (!is_made_here(name)) codec::append_http1_field(head, name, value);
  if (!request.body.empty() || request.method == "POST" || request.method == "PUT" || request.method == "PATCH")
    codec::append_http1_field(head, "Content-Length", std::to_string(request.body.size()));
  head += "\r\n";
  return head;
}

OutboundOptions outbound_options(const ClientOptions& options) {
  return {.connect_timeout = options.connect_timeout,
          .head_timeout = options.head_timeout,
          .idle_timeout = options.idle_timeout,
          .max_head_bytes = options.max_head_bytes,
          .max_idle_connections = options.max_idle_connections,
          .keep_idle = options.keep_idle};
}

}  // namespace

struct Client::Impl final : std::enable_shared_from_this<Client::Impl> {
  class Exchange;
  /// Connections made for one kind of trust are never used for another.
  using Target = std::tuple<net::Address, std::shared_ptr<const crypto::TlsContext>, std::string>;

  Impl(net::EventLoop& event_loop, const ClientOptions& options) : loop(event_loop), outbound(event_loop, outbound_options(options)) {}

  OutboundUpstream& upstream_of(const net::Address& address, const ClientTls& tls) {
    Target target{address, tls.context, tls.host};
    if (const auto found = upstreams.find(target); found != upstreams.end()) return *found->second;
    if (upstreams.size() >= kManyUpstreams)
      std::erase_if(upstreams, [](const auto& entry) { return entry.second->open_connections() == 0; });
    return *upstreams.emplace(std::move(target), outbound.connect(address, tls)).first->second;
  }
  std::shared_ptr<Exchange> take(RequestId id) {
    const auto found = exchanges.find(id);
    if (found == exchanges.end()) return nullptr;
    auto exchange = std::move(found->second);
    exchanges.erase(found);
    return exchange;
  }
  void fail_later(RequestId id, Error error);

  net::EventLoop& loop;
  RequestId next_id = 1;
  Outbound outbound;
  std::map<Target, std::unique_ptr<OutboundUpstream>> upstreams;
  std::unordered_map<RequestId, std::shared_ptr<Exchange>> exchanges;
};

/// A request that has been sent and not been answered to its end.
class Client::Impl::Exchange final : public OutboundListener, public std::enable_shared_from_this<Client::Impl::Exchange> {
 public:
  Exchange(Impl& impl, RequestId id, AnswerCallbacks callbacks) : impl_(impl), id_(id), callbacks_(std::move(callbacks)) {}

  void send(const net::Address& address, Request request, const ClientTls& tls) {
    head_ = head_of(address, request);
    body_ = std::move(request.body);
    const std::string_view body = body_;
    request_ = impl_.upstream_of(address, tls).send(head_, {&body, 1}, request.method == "HEAD", *this);
  }
  void cancel() {
    if (request_ != nullptr) request_->cancel();
  }
  void fail(Error error) {
    if (callbacks_.on_error) callbacks_.on_error(std::move(error));
  }

 private:
  // Any callback may cancel the request and destroy the client.
  void on_head(const codec::Http1ResponseView& head) override {
    if (!callbacks_.on_head) return;
    const auto self = shared_from_this();
    std::vector<std::pair<std::string, std::string>> fields;
    fields.reserve(head.fields.size());
    for (const codec::Http1FieldView& field : head.fields) fields.emplace_back(field.name, field.value);
    callbacks_.on_head(head.status, Headers(std::move(fields)));
  }
  void on_body(std::string_view piece) override {
    const auto self = shared_from_this();
    if (callbacks_.on_body) callbacks_.on_body(piece);
  }
  void on_end() override {
    const auto self = impl_.take(id_);
    if (callbacks_.on_end) callbacks_.on_end();
  }
  void on_error(OutboundFailure failure, const Error& error) override {
    const auto self = impl_.take(id_);
    fail({failure == OutboundFailure::kConnect ? ErrorCode::kUnavailable : error.code, error.message});
  }

  Impl& impl_;
  const RequestId id_;
  AnswerCallbacks callbacks_;
  std::string head_;
  std::string body_;
  OutboundRequest* request_ = nullptr;
};

void Client::Impl::fail_later(RequestId id, Error error) {
  loop.post([weak = weak_from_this(), id, reason = std::move(error)]() mutable {
    const auto impl = weak.lock();
    if (impl == nullptr) return;
    if (const auto exchange = impl->take(id)) exchange->fail(std::move(reason));
  });
}

Client::Client(net::EventLoop& loop, ClientOptions options) : impl_(std::make_shared<Impl>(loop, options)) {}

Client::~Client() = default;

Client::RequestId Client::send(const net::Address& address, Request request, AnswerCallbacks callbacks, const ClientTls& tls) {
  const RequestId id = impl_->next_id++;
  const auto exchange = std::make_shared<Impl::Exchange>(*impl_, id, std::move(callbacks));
  impl_->exchanges.emplace(id, exchange);
  if (!codec::http1_is_token(request.method) || !codec::http1_is_target(request.target))
    impl_->fail_later(id,
                      {ErrorCode::kInvalidArgument,
                       fmt::format("not a request that can be sent: '{} {}'", request.method, request.target)});
  else
    exchange->send(address, std::move(request), tls);
  return id;
}

void Client::cancel(RequestId id) {
  if (const auto exchange = impl_->take(id)) exchange->cancel();
}

}  // namespace flexpert::http
