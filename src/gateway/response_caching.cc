#include "gateway/response_caching.h"

#include <algorithm>
#include <deque>
#include <unordered_map>
#include <utility>

#include "crypto/hmac_key.h"
#include "gateway/canonical_body.h"
#include "routing/in_flight_share.h"

namespace flexpert::gateway {
namespace {

using Member = routing::InFlightShare::Member;

constexpr std::size_t kSecretBytes = 32;

bool is_json(std::string_view content_type) { return content_type.substr(0, content_type.find(';')) == "application/json"; }

}  // namespace

struct ResponseCaching::Impl {
  struct Follower;

  Impl(net::EventLoop& the_loop, const Clock& the_clock, const config::CacheConfig& the_config, telemetry::Registry& registry)
      : loop(the_loop),
        clock(the_clock),
        config(the_config),
        secret(crypto::random_bytes(kSecretBytes)),
        cache(config.max_bytes, config.max_entry_bytes, from_seconds(config.ttl_s)),
        bytes(registry.gauge("flexpert_gateway_cache_bytes", "What the kept answers take")),
        hits(counter(registry, "hit")),
        stale_hits(counter(registry, "stale")),
        shared(counter(registry, "shared")),
        misses(counter(registry, "miss")),
        bypassed(counter(registry, "bypass")) {}
  ~Impl() {
    closing = true;
    loop.cancel(timer);
    to_tell.clear();
  }

  static telemetry::Counter counter(telemetry::Registry& registry, const char* outcome) {
    return registry.counter("flexpert_gateway_cache_total", "Requests at the response cache, by what became of them",
                            {{"outcome", outcome}});
  }

  Looked look(const CacheRequest& request, std::move_only_function<void(Told)> later);
  std::unique_ptr<Lead> make_lead(const routing::CacheKey& key, Member member, bool in_group);
  void keep(const routing::CacheKey& key, const AnswerPtr& answer) {
    cache.put(key, answer, clock.now());
    bytes.set(static_cast<double>(cache.bytes()));
  }
  void completed(const routing::CacheKey& key, Member member, const AnswerPtr& answer);
  void failed(const routing::CacheKey& key, Member member);
  void tell(Member member, Told told);
  void deliver();

  net::EventLoop& loop;
  const Clock& clock;
  const config::CacheConfig config;
  crypto::HmacKey secret;
  routing::ResponseCache cache;
  routing::InFlightShare share;
  CanonicalBody canonical;
  std::string canonical_text;
  std::string key_text;
  Member next_member = 1;
  std::unordered_map<Member, Follower*> followers;
  std::deque<std::pair<Member, Told>> to_tell;
  net::TimerId timer = 0;
  bool closing = false;
  telemetry::Gauge bytes;
  telemetry::Counter hits;
  telemetry::Counter stale_hits;
  telemetry::Counter shared;
  telemetry::Counter misses;
  telemetry::Counter bypassed;
};

namespace {

/// Gathers an answer and hands it over.
class Leader final : public ResponseCaching::Lead {
 public:
  struct Hooks {
    std::move_only_function<void(ResponseCaching::AnswerPtr)> completed;
    std::move_only_function<void()> failed;
    std::move_only_function<bool() const> wanted;
  };

  Leader(std::uint64_t max_bytes, Hooks hooks) : max_bytes_(max_bytes), hooks_(std::move(hooks)) {}
  ~Leader() override { give_up(); }
  Leader(const Leader&) = delete;
  Leader& operator=(const Leader&) = delete;

  bool head(int status, std::string_view content_type, std::string_view content_encoding) override {
    if (status != 200 || !is_json(content_type) || !(content_encoding.empty() || content_encoding == "identity")) give_up();
    answer_.content_type = content_type;
    begun_ = true;
    return !over_;
  }
  bool body(std::string_view piece) override {
    if (over_) return false;
    if (piece.size() > max_bytes_ - answer_.body.size()) give_up();
    else answer_.body += piece;
    return !over_;
  }
  void finish(std::uint64_t prompt_tokens, std::uint64_t completion_tokens) override {
    if (over_ || !begun_) return give_up();
    over_ = true;
    answer_.prompt_tokens = prompt_tokens;
    answer_.completion_tokens = completion_tokens;
    hooks_.completed(std::make_shared<const routing::CachedAnswer>(std::move(answer_)));
  }
  [[nodiscard]] bool wanted() const override { return !over_ && hooks_.wanted(); }

 private:
  void give_up() {
    if (std::exchange(over_, true)) return;
    answer_ = {};
    hooks_.failed();
  }

  std::uint64_t max_bytes_;
  Hooks hooks_;
  routing::CachedAnswer answer_;
  bool begun_ = false;
  bool over_ = false;
};

}  // namespace

struct ResponseCaching::Impl::Follower final : Following {
  Follower(Impl& the_owner, const routing::CacheKey& the_key, Member the_member, std::move_only_function<void(Told)> the_later)
      : owner(the_owner), key(the_key), member(the_member), later(std::move(the_later)) {
    owner.followers[member] = this;
  }
  ~Follower() override {
    owner.followers.erase(member);
    owner.share.leave(key, member);
    if (!to_be_told) return;
    // What it was to be told may be the lead, which then goes to the next one.
    const auto told = std::find_if(owner.to_tell.begin(), owner.to_tell.end(), [this](const auto& entry) { return entry.first == member; });
    if (told == owner.to_tell.end()) return;  // only while the object itself goes
    const auto dropped = std::move(told->second);
    owner.to_tell.erase(told);
  }
  Follower(const Follower&) = delete;
  Follower& operator=(const Follower&) = delete;

  Impl& owner;
  routing::CacheKey key;
  Member member;
  std::move_only_function<void(Told)> later;
  bool to_be_told = false;
};

std::unique_ptr<ResponseCaching::Lead> ResponseCaching::Impl::make_lead(const routing::CacheKey& key, Member member, bool in_group) {
  Leader::Hooks hooks;
  hooks.completed = [this, key, member, in_group](AnswerPtr answer) {
    keep(key, answer);
    if (in_group) completed(key, member, answer);
  };
  hooks.failed = [this, key, member, in_group] {
    if (in_group) failed(key, member);
  };
  hooks.wanted = [this, key, member, in_group] { return in_group && share.followers(key, member) > 0; };
  return std::make_unique<Leader>(config.max_entry_bytes, std::move(hooks));
}

ResponseCaching::Looked ResponseCaching::Impl::look(const CacheRequest& request, std::move_only_function<void(Told)> later) {
  const auto alone = [&](std::string_view why) {
    bypassed.add();
    return Alone{why};
  };
  const routing::CacheControl control = routing::parse_cache_control(request.cache_control);
  if (control.no_store) return alone("no-store");
  const auth::ModelRight* right = request.caller->grant->model(request.model);
  if (right == nullptr) return alone("no right to the model");
  if (const auto why = canonical.write(request.path, request.body, canonical_text); !why.empty()) return alone(why);
  routing::write_cache_key_text({.tenant = request.caller->identity.tenant,
                                 .rights_digest = right->digest,
                                 .model = request.model,
                                 .model_epoch = request.model_epoch,
                                 .path = request.path,
                                 .cap_max_tokens = request.cap_max_tokens},
                                canonical_text, key_text);
  const routing::CacheKey key = secret.sign(key_text);
  if (!control.no_cache || request.even_stale) {
    if (auto found = cache.find(key, clock.now(), request.even_stale); found.answer != nullptr) {
      (found.stale ? stale_hits : hits).add();
      return Hit{std::move(found.answer), found.stale || control.no_cache};
    }
  }
  misses.add();
  const Member member = next_member++;
  if (control.no_cache || !config.share_in_flight) return make_lead(key, member, false);
  if (share.join(key, member) == routing::InFlightShare::Role::kLeader) return make_lead(key, member, true);
  return std::make_unique<Follower>(*this, key, member, std::move(later));
}

void ResponseCaching::Impl::completed(const routing::CacheKey& key, Member member, const AnswerPtr& answer) {
  for (const Member follower : share.complete(key, member)) {
    shared.add();
    tell(follower, answer);
  }
}

void ResponseCaching::Impl::failed(const routing::CacheKey& key, Member member) {
  if (closing) return;
  const auto handover = share.fail(key, member);
  for (const Member next : handover.leads) tell(next, make_lead(key, next, true));
  for (const Member alone : handover.alone) tell(alone, Alone{"the shared computation failed"});
}

void ResponseCaching::Impl::tell(Member member, Told told) {
  if (const auto follower = followers.find(member); follower != followers.end()) follower->second->to_be_told = true;
  to_tell.emplace_back(member, std::move(told));
  if (timer != 0) return;
  timer = loop.call_after(Duration::zero(), [this] {
    timer = 0;
    deliver();
  });
}

void ResponseCaching::Impl::deliver() {
  while (!to_tell.empty()) {
    auto [member, told] = std::move(to_tell.front());
    to_tell.pop_front();
    const auto follower = followers.find(member);
    if (follower == followers.end()) continue;
    follower->second->to_be_told = false;
    auto later = std::move(follower->second->later);
    later(std::move(told));
  }
}

ResponseCaching::ResponseCaching(net::EventLoop& loop, const Clock& clock, const config::CacheConfig& config, telemetry::Registry& registry)
    : impl_(config.enabled ? std::make_unique<Impl>(loop, clock, config, registry) : nullptr) {}
ResponseCaching::~ResponseCaching() = default;

bool ResponseCaching::enabled() const { return impl_ != nullptr; }

ResponseCaching::Looked ResponseCaching::look(const CacheRequest& request, std::move_only_function<void(Told)> later) {
  if (impl_ == nullptr) return Alone{"the cache is off"};
  return impl_->look(request, std::move(later));
}

std::uint64_t ResponseCaching::bytes() const { return impl_ == nullptr ? 0 : impl_->cache.bytes(); }
std::size_t ResponseCaching::groups() const { return impl_ == nullptr ? 0 : impl_->share.groups(); }

}  // namespace flexpert::gateway
