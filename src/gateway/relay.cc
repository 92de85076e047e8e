#include "gateway/relay.h"

#include <algorithm>
#include <optional>

#include "base/log.h"
#include "codec/openai_answer.h"
#include "gateway/header_rules.h"

namespace flexpert::gateway {
namespace {

constexpr std::size_t kLongestWholeAnswer = 64 * 1024 * 1024;
constexpr int kMaxAttempts = 2;
constexpr std::string_view kStreamType = "text/event-stream";
constexpr std::string_view kDoneEvent = "data: [DONE]";

http::Response bad_gateway(std::string_view message) { return http::openai_error(502, message, "upstream_error", {}, "upstream_failed"); }

}  // namespace

http::Response unknown_model(std::string_view model) {
  return http::openai_error(404, fmt::format("The model `{}` does not exist; GET /v1/models lists those that do", model), "invalid_request_error",
                            "model", "model_not_found");
}

http::Response unavailable(std::string_view message, std::string_view code, int retry_after_s) {
  http::Response response = http::openai_error(503, message, "overloaded_error", {}, code);
  response.headers.set("Retry-After", std::to_string(retry_after_s));
  return response;
}

/// One client's request and its current try.
struct Relay::Exchange {
  std::uint64_t id = 0;
  std::unique_ptr<Answer> answer;
  http::Request request;  // with the headers for the upstream; kept for a retry
  std::string model;
  TimePoint arrived;
  std::optional<RequestLoad> load;
  int attempts = 0;
  std::vector<std::string> failed_on;
  net::TimerId timer = 0;
  TimePoint wait_until;
  bool waiting = false;
  bool breaking = false;  // the error event is written, the cut is due

  // Of the current try:
  std::string server;
  routing::LoadCounts::Ticket ticket;
  std::optional<http::Client::RequestId> sent;
  int status = 0;
  http::Headers headers;
  bool streaming = false;       // the answer is an event stream
  bool marked_end = false;      // its end is marked by HTTP, not by the connection's
  bool started = false;         // something of it went to the client
  std::string body;             // of an answer that is not a stream
  std::string tail;             // last bytes of a stream
  TimePoint last_piece;
};

Relay::Relay(net::EventLoop& loop, const Clock& clock, ServerDirectory& directory, GatewayMetrics& metrics, LoadReport& load,
             RelayOptions options)
    : loop_(loop),
      clock_(clock),
      directory_(directory),
      metrics_(metrics),
      load_(load),
      options_(options),
      self_(std::make_shared<Relay*>(this)),
      client_(std::make_unique<http::Client>(
          loop, http::ClientOptions{.connect_timeout = Seconds(2), .head_timeout = options.upstream_timeout, .idle_timeout = options.upstream_timeout})) {}

Relay::~Relay() {
  for (auto& [id, exchange] : exchanges_) loop_.cancel(exchange->timer);
  client_.reset();  // its callbacks know us
}

Relay::Exchange* Relay::find(std::uint64_t id) {
  const auto exchange = exchanges_.find(id);
  return exchange == exchanges_.end() ? nullptr : exchange->second.get();
}

void Relay::handle(http::Request request, std::unique_ptr<Answer> answer) {
  ScannedRequest fields;
  if (const auto refused = scanner_.scan(request.body, fields))
    return answer->respond(http::openai_error(refused->status, refused->message, refused->type, refused->param, refused->code));
  const std::string model(fields.model);
  const TimePoint now = clock_.now();
  if (!directory_.knows(model) && !directory_.recovering(model, now, options_.recovery_wait))
    return answer->respond(unknown_model(model));
  auto exchange = std::make_unique<Exchange>();
  const std::uint64_t id = exchange->id = next_id_++;
  exchange->answer = std::move(answer);
  exchange->model = model;
  exchange->arrived = now;
  exchange->load.emplace(load_, exchange->model, request.body.size(), fields.max_tokens);
  request.headers = headers_for_upstream(request.headers);
  exchange->request = std::move(request);
  exchange->answer->stream().on_disconnect([weak = std::weak_ptr<Relay*>(self_), id] {
    if (const auto self = weak.lock()) (*self)->client_gone(id);
  });
  exchanges_.emplace(id, std::move(exchange));
  attempt(id);
}

void Relay::attempt(std::uint64_t id) {
  Exchange* exchange = find(id);
  if (exchange == nullptr) return;
  const ModelServer* server = directory_.pick(exchange->model, exchange->failed_on, clock_.now());
  // Back on a server that failed it: good enough if it is another process by now, or there is no other.
  if (server == nullptr) server = directory_.pick(exchange->model, {}, clock_.now());
  if (server == nullptr) return wait_or_refuse(*exchange);
  loop_.cancel(exchange->timer);
  exchange->timer = 0;
  exchange->waiting = false;
  ++exchange->attempts;
  exchange->server = server->id;
  exchange->ticket = directory_.load().take(server->id);
  exchange->load->sent(server->id, clock_.now());
  exchange->status = 0;
  exchange->body.clear();
  http::AnswerCallbacks callbacks;
  callbacks.on_head = [this, id](int status, const http::Headers& headers) { took_head(id, status, headers); };
  callbacks.on_body = [this, id](std::string_view bytes) { took_body(id, bytes); };
  callbacks.on_end = [this, id] { took_end(id); };
  callbacks.on_error = [this, id](const Error& error) { took_error(id, error); };
  const auto sent = client_->send(server->address, exchange->request, std::move(callbacks));
  if (Exchange* still = find(id)) still->sent = sent;
}

void Relay::wait_or_refuse(Exchange& exchange) {
  const TimePoint now = clock_.now();
  const bool scaled = directory_.scaled(exchange.model);
  if (!exchange.waiting) {
    if (scaled && (load_.held() >= options_.max_held || load_.held_bytes() + exchange.request.body.size() > options_.max_held_bytes))
      return respond(exchange, unavailable("Too many requests wait for this model already; try again", "too_many_held", 10));
    exchange.waiting = true;
    exchange.wait_until = now + (scaled ? options_.hold : options_.recovery_wait);
  }
  if (now < exchange.wait_until && (scaled || directory_.recovering(exchange.model, now, options_.recovery_wait))) {
    if (scaled) exchange.load->hold();
    loop_.cancel(exchange.timer);
    // A lost server may also be tried again without news of it, so look again before the wait is over.
    const Duration step = std::min<Duration>(exchange.wait_until - now, Milliseconds(500));
    exchange.timer = loop_.call_after(step, [this, id = exchange.id] { attempt(id); });
    return;
  }
  // A model that only an unchecked upstream could have had.
  if (!directory_.knows(exchange.model)) return respond(exchange, unknown_model(exchange.model));
  respond(exchange, unavailable(fmt::format("No server of the model `{}` is ready; try again", exchange.model), "no_server_ready", scaled ? 10 : 2));
}

void Relay::servers_changed() {
  std::vector<std::uint64_t> waiting;
  for (const auto& [id, exchange] : exchanges_)
    if (exchange->waiting) waiting.push_back(id);
  for (const std::uint64_t id : waiting) attempt(id);
}

void Relay::took_head(std::uint64_t id, int status, const http::Headers& headers) {
  Exchange* exchange = find(id);
  if (exchange == nullptr) return;
  const std::string_view type = headers.find("Content-Type").value_or("");
  exchange->status = status;
  exchange->headers = headers_for_client(headers);
  exchange->streaming = http::equal_ignoring_case(type.substr(0, kStreamType.size()), kStreamType);
  exchange->marked_end = headers.find("Transfer-Encoding").has_value() || headers.find("Content-Length").has_value();
}

void Relay::took_body(std::uint64_t id, std::string_view bytes) {
  Exchange* exchange = find(id);
  if (exchange == nullptr || exchange->breaking) return;
  if (!exchange->streaming) {
    exchange->body += bytes;
    if (exchange->body.size() <= kLongestWholeAnswer) return;
    client_->cancel(*exchange->sent);
    return respond(*exchange, bad_gateway(fmt::format("The server's answer is over {} bytes", kLongestWholeAnswer)));
  }
  const TimePoint now = clock_.now();
  // The head waits for the first piece: until then a server that dies can be replaced without the client's notice.
  if (!exchange->started) {
    exchange->started = true;
    exchange->answer->start(exchange->status, exchange->headers);
    metrics_.observe_ttft(now - exchange->arrived);
  } else {
    metrics_.observe_itl(now - exchange->last_piece);
  }
  exchange->last_piece = now;
  exchange->load->piece(bytes, now);
  exchange->tail += bytes.substr(bytes.size() - std::min<std::size_t>(bytes.size(), 32));
  if (exchange->tail.size() > 64) exchange->tail.erase(0, exchange->tail.size() - 64);
  exchange->answer->stream().write(bytes);
}

void Relay::took_end(std::uint64_t id) {
  Exchange* exchange = find(id);
  if (exchange == nullptr || exchange->breaking) return;
  if (!exchange->streaming) {
    if (exchange->status == 503 && refused_and_another_may_take_it(*exchange)) return attempt(id);
    if (exchange->status < 400) exchange->load->part(exchange->body);
    exchange->load->finish(exchange->status, clock_.now());
    return respond(*exchange, {exchange->status, exchange->headers, std::move(exchange->body)});
  }
  if (!exchange->started) {
    exchange->started = true;
    exchange->answer->start(exchange->status, exchange->headers);
  }
  // Where only the connection's end marks the stream's, a crash looks the same, but for the last event.
  if (!exchange->marked_end && exchange->tail.find(kDoneEvent) == std::string::npos)
    return break_stream(*exchange, "the connection ended before the stream did");
  exchange->load->finish(exchange->status, clock_.now());
  exchange->answer->stream().finish();
  end(id);
}

/// A server that refuses, because it drains or stops, has done nothing: the request may go to another one.
bool Relay::refused_and_another_may_take_it(Exchange& exchange) {
  if (exchange.attempts >= kMaxAttempts) return false;
  exchange.failed_on.push_back(exchange.server);
  if (directory_.pick(exchange.model, exchange.failed_on, clock_.now()) == nullptr) return false;
  exchange.sent.reset();
  exchange.ticket.release();
  exchange.load->returned(clock_.now());
  metrics_.count_retry("refused");
  return true;
}

void Relay::took_error(std::uint64_t id, const Error& error) {
  Exchange* exchange = find(id);
  if (exchange == nullptr || exchange->breaking) return;
  exchange->sent.reset();
  exchange->ticket.release();
  exchange->load->returned(clock_.now());
  log::warn("server {} failed a request: {}", exchange->server, error.message);
  const bool gone = error.code == ErrorCode::kUnavailable || error.code == ErrorCode::kDataLoss;
  if (gone) {
    directory_.mark_lost(exchange->server, clock_.now());
    if (on_lost_) on_lost_(exchange->server);
    exchange = find(id);  // the listener may have changed what there is
    if (exchange == nullptr) return;
  }
  if (exchange->started) return break_stream(*exchange, error.message);
  if (gone && exchange->attempts < kMaxAttempts) {
    metrics_.count_retry(name_of(error.code));
    exchange->failed_on.push_back(exchange->server);
    return attempt(id);
  }
  if (error.code == ErrorCode::kDeadlineExceeded)
    return respond(*exchange, http::openai_error(504, "The server did not answer in time", "upstream_error", {}, "upstream_timeout"));
  if (error.code == ErrorCode::kUnavailable)
    return respond(*exchange, unavailable("The server went away before it answered; try again", "upstream_unavailable", 2));
  respond(*exchange, bad_gateway("The server's answer broke off or was malformed"));
}

void Relay::break_stream(Exchange& exchange, const std::string& why) {
  log::warn("a stream of {} broke off: {}", exchange.server, why);
  exchange.breaking = true;
  exchange.load->fail();
  exchange.ticket.release();
  codec::ApiError error;
  error.message = "The server failed in the middle of this stream; what came before is incomplete";
  error.type = "upstream_error";
  error.code = "stream_broken";
  // Whatever event was begun ends here, so that the error stands on lines of its own.
  exchange.answer->stream().write("\n\n" + codec::error_event(error));
  cut_when_sent(exchange.id, clock_.now() + Seconds(2));
}

void Relay::cut_when_sent(std::uint64_t id, TimePoint give_up) {
  Exchange* exchange = find(id);
  if (exchange == nullptr) return;
  if (exchange->answer->stream().buffered_bytes() > 0 && clock_.now() < give_up) {
    exchange->timer = loop_.call_after(Milliseconds(2), [this, id, give_up] { cut_when_sent(id, give_up); });
    return;
  }
  exchange->answer->stream().abort();
  end(id);
}

void Relay::respond(Exchange& exchange, http::Response response) {
  exchange.load->fail();  // unless a server's whole answer is what goes out
  exchange.answer->respond(std::move(response));
  end(exchange.id);
}

void Relay::client_gone(std::uint64_t id) {
  if (const Exchange* exchange = find(id); exchange != nullptr && exchange->sent) client_->cancel(*exchange->sent);
  end(id);
}

void Relay::end(std::uint64_t id) {
  const auto found = exchanges_.find(id);
  if (found == exchanges_.end()) return;
  // Out of the map first: what the exchange's end sets off must not find it.
  const std::unique_ptr<Exchange> exchange = std::move(found->second);
  exchanges_.erase(found);
  loop_.cancel(exchange->timer);
}

}  // namespace flexpert::gateway
