#include "flexpert/load_generator.h"

#include <boost/json.hpp>
#include <fmt/format.h>

#include "codec/json_text.h"

namespace flexpert::app {

struct LoadGenerator::InFlight {
  workload::Arrival arrival;
  workload::AnswerStream stream;
  http::Client::RequestId request = 0;
  net::TimerId timeout = 0;
  int status = 0;
  std::string error_body;  // of an answer that is not 200
  TimePoint last_token{};
  bool first_token_seen = false;
};

LoadGenerator::LoadGenerator(net::EventLoop& loop, LoadTarget target, std::vector<workload::Phase> phases, std::vector<workload::PromptSet> sets,
                             std::vector<workload::Arrival> arrivals, LoadSettings settings)
    : loop_(loop),
      target_(std::move(target)),
      phases_(std::move(phases)),
      sets_(std::move(sets)),
      arrivals_(std::move(arrivals)),
      settings_(settings),
      client_(loop, {.max_idle_connections = settings.max_in_flight}) {}

LoadGenerator::~LoadGenerator() {
  loop_.cancel(timer_);
  for (const auto& [key, request] : in_flight_) {
    loop_.cancel(request->timeout);
    client_.cancel(request->request);
  }
}

void LoadGenerator::start(std::function<void()> done) {
  done_ = std::move(done);
  start_ = SystemClock().now();
  send_due();
}

void LoadGenerator::stop_sending() {
  loop_.cancel(timer_);
  next_ = arrivals_.size();
  phases_over_ = true;
  finish_if_done();
}

double LoadGenerator::elapsed_s() const { return start_ == TimePoint{} ? 0 : to_seconds(SystemClock().now() - start_); }

std::uint32_t LoadGenerator::current_phase() const {
  double until = 0;
  std::uint32_t index = 0;
  const double now = elapsed_s();
  while (index < phases_.size() && now >= (until += phases_[index].seconds)) ++index;
  return index;
}

void LoadGenerator::send_due() {
  const Duration elapsed = SystemClock().now() - start_;
  while (next_ < arrivals_.size() && arrivals_[next_].at <= elapsed) {
    const workload::Arrival& arrival = arrivals_[next_++];
    if (in_flight_.size() >= settings_.max_in_flight)
      record_.add_not_sent(to_seconds(arrival.at), arrival.phase);
    else
      send(arrival);
  }
  const Duration end = workload::total_duration(phases_);
  if (next_ == arrivals_.size() && elapsed >= end) {
    phases_over_ = true;
    return finish_if_done();
  }
  const Duration next = next_ < arrivals_.size() ? arrivals_[next_].at : end;
  timer_ = loop_.call_after(std::max(Duration(0), next - elapsed), [this] { send_due(); });
}

std::string LoadGenerator::body_of(const workload::Arrival& arrival) const {
  std::string body = R"({"model":)";
  codec::append_json_string(body, target_.model);
  body += R"(,"messages":[{"role":"user","content":)";
  codec::append_json_string(body, sets_[arrival.set].prompts[arrival.prompt]);
  body += fmt::format(R"(}}],"max_tokens":{},"temperature":{},"seed":{},"stream":true,"stream_options":{{"include_usage":true}}}})",
                      phases_[arrival.phase].max_tokens, settings_.temperature, arrival.seed);
  return body;
}

void LoadGenerator::send(const workload::Arrival& arrival) {
  const std::uint64_t key = ++last_key_;
  auto& request = *(in_flight_[key] = std::make_unique<InFlight>());
  request.arrival = arrival;
  ++sent_;
  request.timeout = loop_.call_after(settings_.request_timeout, [this, key] {
    const auto found = in_flight_.find(key);
    if (found == in_flight_.end()) return;
    client_.cancel(found->second->request);
    finish(key, "no answer within the time limit");
  });
  http::Request message{.method = "POST", .target = "/v1/chat/completions", .headers = {}, .body = body_of(arrival), .peer = {}};
  message.headers.add("Content-Type", "application/json");
  message.headers.add("Accept", "text/event-stream");
  request.request = client_.send(target_.address, std::move(message),
                                 {.on_head = [this, key](int status, const http::Headers&) { on_head(key, status); },
                                  .on_body = [this, key](std::string_view bytes) { on_body(key, bytes); },
                                  .on_end = [this, key] { on_end(key); },
                                  .on_error = [this, key](const Error& error) { finish(key, error.message); }});
}

void LoadGenerator::on_head(std::uint64_t key, int status) {
  if (const auto found = in_flight_.find(key); found != in_flight_.end()) found->second->status = status;
}

void LoadGenerator::on_body(std::uint64_t key, std::string_view bytes) {
  const auto found = in_flight_.find(key);
  if (found == in_flight_.end()) return;
  InFlight& request = *found->second;
  if (request.status != 200) {
    if (request.error_body.size() < 4096) request.error_body += bytes;
    return;
  }
  request.stream.feed(bytes, [&](std::string_view) {
    const TimePoint now = SystemClock().now();
    const double at_s = to_seconds(now - start_);
    if (!request.first_token_seen) {
      record_.add_ttft({at_s, to_ms(now - (start_ + request.arrival.at)), request.arrival.phase});
    } else {
      record_.add_itl({at_s, to_ms(now - request.last_token), request.arrival.phase});
    }
    request.first_token_seen = true;
    request.last_token = now;
  });
}

void LoadGenerator::on_end(std::uint64_t key) {
  const auto found = in_flight_.find(key);
  if (found == in_flight_.end()) return;
  const InFlight& request = *found->second;
  if (request.status == 200) return finish(key, request.stream.problem());
  finish(key, fmt::format("HTTP {}: {}", request.status, request.error_body.substr(0, 200)));
}

void LoadGenerator::finish(std::uint64_t key, std::string failure) {
  const auto found = in_flight_.find(key);
  if (found == in_flight_.end()) return;
  const std::unique_ptr<InFlight> request = std::move(found->second);
  in_flight_.erase(found);
  loop_.cancel(request->timeout);
  record_.add_outcome({.phase = request->arrival.phase, .finished_at_s = elapsed_s(), .tokens = request->stream.tokens(), .failure = std::move(failure)});
  finish_if_done();
}

void LoadGenerator::finish_if_done() {
  if (!phases_over_ || !in_flight_.empty() || !done_) return;
  // From the mailbox: the callee may destroy this object, and a callback of it may be on the stack.
  loop_.post([done = std::exchange(done_, nullptr)] { done(); });
}

Result<net::Address> parse_base_url(std::string_view url) {
  constexpr std::string_view kScheme = "http://";
  if (url.starts_with("https://"))
    return fail(ErrorCode::kInvalidArgument, "TLS is not spoken yet; load the server at its http://HOST:PORT: {}", url);
  if (!url.starts_with(kScheme)) return fail(ErrorCode::kInvalidArgument, "URL must have the form http://HOST:PORT: {}", url);
  std::string_view host_port = url.substr(kScheme.size());
  if (host_port.ends_with('/')) host_port.remove_suffix(1);
  if (host_port.ends_with("/v1")) host_port.remove_suffix(3);
  const bool has_port = host_port.find(':', host_port.rfind(']') + 1) != std::string_view::npos;
  auto address = net::Address::parse(has_port ? std::string(host_port) : fmt::format("{}:80", host_port));
  if (!address) return fail(address.error().with_context(fmt::format("URL must have the form http://HOST:PORT, {}", url)));
  return address;
}

Result<std::string> first_model_of(const net::Address& address) {
  FLEXPERT_ASSIGN(const http::Response answer, http::fetch(address, {.method = "GET", .target = "/v1/models", .headers = {}, .body = {}, .peer = {}}, Seconds(10)));
  boost::system::error_code error;
  const boost::json::value root = boost::json::parse(answer.body, error);
  const boost::json::value* id = error ? nullptr : root.find_pointer("/data/0/id", error);
  if (answer.status != 200 || id == nullptr || !id->is_string())
    return fail(ErrorCode::kUnavailable, "server lists no model at /v1/models (HTTP {}); name one with --model: {}", answer.status, address.to_string());
  return std::string(id->get_string().data(), id->get_string().size());
}

}  // namespace flexpert::app
