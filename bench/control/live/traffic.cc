#include "live/traffic.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace flexpert::bench {
namespace {

constexpr const char* kTopics[] = {"parse_line", "load_settings", "count_words", "write_header", "find_module", "split_path"};
constexpr std::uint32_t kTokens = 16;

}  // namespace

Traffic::Traffic(net::EventLoop& loop, net::Address gateway, std::string model, std::uint64_t seed)
    : loop_(loop), gateway_(std::move(gateway)), model_(std::move(model)), rng_(seed), client_(loop, {}) {}

Traffic::~Traffic() { loop_.cancel(timer_); }

void Traffic::open_loop(const std::vector<TrafficLeg>& legs) {
  arrivals_s_.clear();
  next_ = 0;
  double begin = 0;
  for (const TrafficLeg& leg : legs) {
    // Thinning: candidates at the leg's largest rate, each kept with the share of the rate at its moment.
    const double most = std::max({leg.from_per_s, leg.to_per_s, 1e-9});
    for (double at = 0; (at += -std::log(1 - rng_.uniform()) / most) < leg.seconds;) {
      const double rate = leg.from_per_s + (leg.to_per_s - leg.from_per_s) * at / leg.seconds;
      if (rng_.uniform() * most < rate) arrivals_s_.push_back(begin + at);
    }
    begin += leg.seconds;
  }
  arrivals_s_.push_back(begin);  // the end, when nothing is sent
  sending_ = true;
  start_ = SystemClock().now();
  schedule();
}

void Traffic::schedule() {
  timer_ = 0;
  const double now = to_seconds(SystemClock().now() - start_);
  while (next_ + 1 < arrivals_s_.size() && arrivals_s_[next_] <= now) {
    ++next_;
    send();
  }
  sending_ = next_ + 1 < arrivals_s_.size() || arrivals_s_.back() > now;
  if (sending_) timer_ = loop_.call_after(from_seconds(std::max(0.0, arrivals_s_[next_] - now)), [this] { schedule(); });
}

void Traffic::closed_loop(std::size_t in_flight) {
  closed_in_flight_ = in_flight;
  sending_ = true;
  fill();
}

void Traffic::fill() {
  while (streams_.size() < closed_in_flight_) send();
}

void Traffic::stop() {
  loop_.cancel(std::exchange(timer_, 0));
  closed_in_flight_ = 0;
  sending_ = false;
}

std::size_t Traffic::failed() const {
  return static_cast<std::size_t>(std::count_if(outcomes_.begin(), outcomes_.end(), [](const RequestOutcome& one) { return !one.problem.empty(); }));
}

void Traffic::send() {
  const std::uint64_t key = ++last_key_;
  streams_[key].sent = SystemClock().now();
  http::Request request;
  request.method = "POST";
  request.target = "/v1/chat/completions";
  request.headers.add("Content-Type", "application/json");
  request.body = fmt::format(
      R"({{"model":"{}","stream":true,"messages":[{{"role":"user","content":"Write a Python function named {}."}}],"temperature":0,"max_tokens":{},"ignore_eos":true}})",
      model_, kTopics[rng_.below(std::size(kTopics))], kTokens);
  http::AnswerCallbacks callbacks;
  callbacks.on_head = [this, key](int status, const http::Headers&) { streams_[key].status = status; };
  callbacks.on_body = [this, key](std::string_view bytes) {
    Stream& stream = streams_[key];
    stream.answer.feed(bytes, [&](std::string_view) {
      stream.last = SystemClock().now();
      if (stream.pieces++ == 0) stream.first = stream.last;
      ++tokens_;
    });
  };
  callbacks.on_end = [this, key] { over(key, ""); };
  callbacks.on_error = [this, key](const Error& error) { over(key, error.message); };
  client_.send(gateway_, std::move(request), std::move(callbacks));
}

void Traffic::over(std::uint64_t key, const std::string& error) {
  const auto node = streams_.extract(key);
  const Stream& stream = node.mapped();
  RequestOutcome outcome;
  outcome.problem = !error.empty() ? error : stream.status != 200 ? fmt::format("HTTP {}", stream.status) : stream.answer.problem();
  outcome.tokens = stream.pieces;
  if (stream.pieces > 0) outcome.ttft_s = to_seconds(stream.first - stream.sent);
  if (stream.pieces > 1) outcome.mean_itl_s = to_seconds(stream.last - stream.first) / static_cast<double>(stream.pieces - 1);
  outcomes_.push_back(std::move(outcome));
  fill();
}

}  // namespace flexpert::bench
