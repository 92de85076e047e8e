#include "overload/tenant_load.h"

#include <memory>
#include <utility>

#include <fmt/format.h>

#include "base/rng.h"
#include "http/client.h"
#include "net/event_loop.h"
#include "workload/answer_stream.h"

namespace flexpert::bench {
namespace {

/// Returns the value of "code" in an error's body.
std::string_view code_of(std::string_view body) {
  constexpr std::string_view kKey = "\"code\":\"";
  const std::size_t at = body.find(kKey);
  if (at == std::string_view::npos) return "";
  const std::string_view rest = body.substr(at + kKey.size());
  return rest.substr(0, rest.find('"'));
}

class Run {
 public:
  Run(std::uint16_t port, const std::vector<TenantLoad>& tenants, const LoadWindow& window)
      : address_(*net::Address::parse(fmt::format("127.0.0.1:{}", port))),
        window_(window),
        tenants_(tenants),
        results_(tenants.size()),
        client_(loop_, {.max_idle_connections = 4096}) {
    for (const TenantLoad& tenant : tenants) rngs_.emplace_back(tenant.seed);
  }

  std::vector<TenantResult> go() {
    start_ = clock_.now();
    from_ = start_ + window_.warm_up;
    until_ = from_ + window_.measured;
    for (std::size_t t = 0; t < tenants_.size(); ++t) schedule(t, start_);
    loop_.call_after(until_ - start_, [this] {
      over_ = true;
      loop_.stop();
    });
    loop_.run();
    for (const auto& [key, request] : live_) client_.cancel(request->id);
    return std::move(results_);
  }

 private:
  struct Live {
    std::size_t tenant = 0;
    TimePoint due{};
    TimePoint first{};
    std::uint64_t tokens = 0;
    int status = 0;
    bool retry_after = false;
    std::string body{};
    workload::AnswerStream stream{};
    http::Client::RequestId id = 0;
  };

  void schedule(std::size_t tenant, TimePoint after) {
    const TimePoint due = after + from_seconds(rngs_[tenant].exponential(1 / tenants_[tenant].per_s));
    loop_.call_after(due - clock_.now(), [this, tenant, due] {
      if (over_) return;
      send(tenant, due);
      schedule(tenant, due);
    });
  }

  void send(std::size_t tenant, TimePoint due) {
    const std::uint64_t key = ++last_key_;
    auto live = std::make_unique<Live>();
    live->tenant = tenant;
    live->due = due;
    live->tokens = tenants_[tenant].tokens / 2 + rngs_[tenant].below(tenants_[tenant].tokens + 1);
    http::Request request{.method = "POST", .target = "/v1/chat/completions"};
    request.headers.set("Content-Type", "application/json");
    if (!tenants_[tenant].api_key.empty()) request.headers.set("Authorization", "Bearer " + tenants_[tenant].api_key);
    request.body = fmt::format(
        R"({{"model":"m","stream":true,"stream_options":{{"include_usage":true}},"max_tokens":{},"messages":[{{"role":"user","content":"Tell me."}}]}})",
        live->tokens);
    if (due >= from_) ++results_[tenant].sent;
    http::AnswerCallbacks callbacks;
    callbacks.on_head = [this, key](int status, const http::Headers& headers) {
      Live& one = *live_.at(key);
      one.status = status;
      one.retry_after = headers.find("Retry-After").has_value();
    };
    callbacks.on_body = [this, key](std::string_view bytes) {
      Live& one = *live_.at(key);
      if (one.status != 200) {
        one.body += bytes;
        return;
      }
      one.stream.feed(bytes, [&](std::string_view) {
        if (one.first == TimePoint{}) one.first = clock_.now();
      });
    };
    callbacks.on_end = [this, key] { end(key, false); };
    callbacks.on_error = [this, key](const Error&) { end(key, true); };
    Live& sent = *live;
    live_[key] = std::move(live);
    sent.id = client_.send(address_, std::move(request), std::move(callbacks));
  }

  void end(std::uint64_t key, bool failed) {
    const auto node = live_.extract(key);
    const Live& one = *node.mapped();
    const TimePoint now = clock_.now();
    if (now < from_ || now >= until_) return;
    TenantResult& result = results_[one.tenant];
    if (!failed && one.status != 200) {
      ++result.refused[fmt::format("{} {}", one.status, code_of(one.body))];
      if (!one.retry_after) ++result.without_retry_after;
      return;
    }
    if (failed || !one.stream.problem().empty()) {
      ++result.broken;
      return;
    }
    const Duration ttft = one.first - one.due;
    if (one.due >= from_) result.ttft_ms.push_back(to_ms(ttft));
    if (ttft > window_.patience) {
      ++result.late;
      return;
    }
    ++result.good;
    result.good_tokens += one.stream.tokens() + one.stream.prompt_tokens().value_or(0);
  }

  net::EventLoop loop_;
  SystemClock clock_;
  net::Address address_;
  LoadWindow window_;
  const std::vector<TenantLoad>& tenants_;
  std::vector<TenantResult> results_;
  std::vector<Rng> rngs_;
  TimePoint start_{};
  TimePoint from_{};
  TimePoint until_{};
  bool over_ = false;
  std::uint64_t last_key_ = 0;
  std::map<std::uint64_t, std::unique_ptr<Live>> live_;
  http::Client client_;
};

}  // namespace

std::vector<TenantResult> run_tenants(std::uint16_t port, const std::vector<TenantLoad>& tenants, const LoadWindow& window) {
  return Run(port, tenants, window).go();
}

}  // namespace flexpert::bench
