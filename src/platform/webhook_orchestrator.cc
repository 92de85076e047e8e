#include "platform/webhook_orchestrator.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "base/log.h"
#include "net/address.h"
#include "platform/webhook_signature.h"
#include "web_client/web_client.h"

namespace flexpert::platform {
namespace {

constexpr std::size_t kMostIds = 100'000;
constexpr std::size_t kLongestId = 256;

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

http::Response refuse(int status, std::string_view message, std::string_view code) {
  return http::openai_error(status, message, "invalid_request_error", {}, code);
}

}  // namespace

struct WebhookOrchestrator::Impl {
  Impl(net::EventLoop& event_loop, const Clock& time, WebhookOptions given, WebhookSignature key)
      : loop(event_loop), clock(time), options(std::move(given)), signature(std::move(key)), client(event_loop), born_ms(time.unix_ms()) {}

  ~Impl() { loop.cancel(timer); }

  void send_now() {
    loop.cancel(std::exchange(timer, 0));
    if (under_way != 0) client.cancel(std::exchange(under_way, 0));
    desired.unix_ms = clock.unix_ms();
    const std::string timestamp = std::to_string(desired.unix_ms / 1000);
    web_client::WebRequest request;
    request.method = "POST";
    request.url = options.url;
    request.body = codec::encode(desired);
    request.timeout = options.timeout;
    request.max_answer_bytes = 64 * 1024;
    // Tries of one message share an id: a receiver may tell by it that it has the message already.
    const std::string id = fmt::format("flexpert_{}_{}_{}", born_ms, desired.revision, repeats);
    request.headers = {{"Content-Type", "application/json"},
                       {"webhook-id", id},
                       {"webhook-timestamp", timestamp},
                       {"webhook-signature", signature.sign(id, timestamp, request.body)}};
    under_way = client.send(std::move(request), [this, revision = desired.revision](Result<web_client::WebAnswer> answer) {
      under_way = 0;
      took(revision, std::move(answer));
    });
  }

  void took(std::uint64_t revision, Result<web_client::WebAnswer> answer) {
    if (answer && answer->status >= 200 && answer->status < 300) {
      if (delivery.failures > 0) log::info("webhook: revision {} is delivered", revision);
      delivery.delivered_revision = revision;
      delivery.failures = 0;
      delivery.last_error.clear();
      timer = loop.call_after(options.repeat, [this] {
        timer = 0;
        ++repeats;
        send_now();
      });
      return;
    }
    delivery.last_error = answer ? fmt::format("{} answered {}", options.url, answer->status) : answer.error().message;
    if (delivery.failures++ == 0) log::warn("webhook: revision {} is not delivered yet: {}", revision, delivery.last_error);
    Duration wait = options.first_backoff;
    for (std::uint32_t i = 1; i < delivery.failures && wait < options.longest_backoff; ++i) wait *= 2;
    wait = std::min(wait, options.longest_backoff);
    if (answer)
      for (const auto& [name, value] : answer->headers)
        if (const auto seconds = name == "retry-after" ? whole_number(value) : std::nullopt; seconds && *seconds > 0)
          wait = std::clamp<Duration>(Seconds(std::min<std::int64_t>(*seconds, 3600)), wait, std::max(wait, options.longest_backoff));
    timer = loop.call_after(wait, [this] {
      timer = 0;
      send_now();
    });
  }

  http::Response take(const http::Request& request) {
    const auto id = request.headers.find("webhook-id");
    const auto timestamp = request.headers.find("webhook-timestamp");
    const auto given = request.headers.find("webhook-signature");
    if (!id || id->empty() || id->size() > kLongestId || !timestamp || !given)
      return refuse(401, "webhook-id, webhook-timestamp and webhook-signature are needed", "unsigned");
    if (!signature.holds(*id, *timestamp, request.body, *given)) return refuse(401, "the signature does not hold", "bad_signature");
    const auto seconds = whole_number(*timestamp);
    const std::int64_t now_s = clock.unix_ms() / 1000;
    const std::int64_t tolerance_s = std::chrono::duration_cast<Seconds>(options.tolerance).count();
    if (!seconds || *seconds < now_s - tolerance_s || *seconds > now_s + tolerance_s)
      return refuse(401, fmt::format("webhook-timestamp must lie within {} s of {}", tolerance_s, now_s), "bad_timestamp");
    // Older ones are refused by their time.
    std::erase_if(seen, [&](const auto& item) { return item.second < now_s - tolerance_s; });
    if (seen.contains(std::string(*id))) return refuse(409, "this webhook-id was used before", "replayed");
    auto progress = codec::decode_webhook_progress(request.body);
    if (!progress) return refuse(400, progress.error().message, "malformed");
    const bool ours = std::any_of(desired.pools.begin(), desired.pools.end(), [&](const auto& pool) { return pool.pool == progress->pool; });
    if (!ours && !desired.pools.empty())
      return refuse(400, fmt::format("pool: none with launch.backend webhook has this name: \"{}\"", progress->pool.value.substr(0, 64)), "malformed");
    for (std::size_t i = 0; i < progress->instances.size(); ++i) {
      const std::string& address = progress->instances[i].address;
      if (const auto parsed = net::Address::parse(address); !address.empty() && !parsed)
        return refuse(400, fmt::format("instances[{}].address: {}", i, parsed.error().message), "malformed");
    }
    if (seen.size() >= kMostIds) return refuse(503, "too many webhooks; send fewer", "overloaded");
    seen.emplace(*id, *seconds);
    delivery.last_progress_unix_ms = clock.unix_ms();
    const auto newest = sequences.find(progress->pool);
    if (newest != sequences.end() && progress->sequence <= newest->second) return {204, {}, ""};
    sequences[progress->pool] = progress->sequence;
    if (on_progress) on_progress(*progress);
    return {204, {}, ""};
  }

  net::EventLoop& loop;
  const Clock& clock;
  WebhookOptions options;
  WebhookSignature signature;
  web_client::WebClient client;
  std::int64_t born_ms;
  codec::WebhookDesired desired;
  std::uint64_t repeats = 0;
  WebhookDelivery delivery;
  web_client::WebClient::RequestId under_way = 0;
  net::TimerId timer = 0;
  std::map<std::string, std::int64_t> seen;       ///< webhook-id -> its timestamp
  std::map<PoolId, std::uint64_t> sequences;
  OnProgress on_progress;
};

WebhookOrchestrator::WebhookOrchestrator(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
WebhookOrchestrator::~WebhookOrchestrator() = default;

Result<std::unique_ptr<WebhookOrchestrator>> WebhookOrchestrator::create(net::EventLoop& loop, const Clock& clock, WebhookOptions options) {
  if (!options.url.starts_with("http://") && !options.url.starts_with("https://"))
    return fail(ErrorCode::kInvalidArgument, "webhook url: must begin with http:// or https://: \"{}\"", options.url);
  FLEXPERT_ASSIGN(WebhookSignature key, WebhookSignature::create(options.secret));
  options.secret.clear();
  return std::unique_ptr<WebhookOrchestrator>(
      new WebhookOrchestrator(std::make_unique<Impl>(loop, clock, std::move(options), std::move(key))));
}

void WebhookOrchestrator::set_on_progress(OnProgress callback) { impl_->on_progress = std::move(callback); }

std::uint64_t WebhookOrchestrator::want(std::vector<codec::WebhookPool> pools) {
  codec::WebhookDesired& desired = impl_->desired;
  if (impl_->delivery.wanted_revision != 0 && desired.pools == pools) return desired.revision;
  desired.pools = std::move(pools);
  impl_->delivery.wanted_revision = ++desired.revision;
  impl_->delivery.failures = 0;
  impl_->send_now();
  return desired.revision;
}

void WebhookOrchestrator::resume_after(std::uint64_t revision) {
  impl_->desired.revision = std::max(impl_->desired.revision, revision);
}

http::Response WebhookOrchestrator::take_progress(const http::Request& request) { return impl_->take(request); }

const WebhookDelivery& WebhookOrchestrator::delivery() const { return impl_->delivery; }

}  // namespace flexpert::platform
