#include "gateway/admission_core.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "base/decimal.h"
#include "gateway/admission_refusals.h"

namespace flexpert::gateway {
namespace {

constexpr int kMostRetryS = 60;

std::uint64_t sum(std::uint64_t a, std::uint64_t b) {
  return a > std::numeric_limits<std::uint64_t>::max() - b ? std::numeric_limits<std::uint64_t>::max() : a + b;
}

/// Tokens as they count against limits and shares: times the cost of one; never nothing.
std::uint64_t weigh(std::uint64_t tokens, double cost) {
  if (cost == 1 || tokens == 0) [[likely]] return tokens;
  return static_cast<std::uint64_t>(std::clamp(std::round(static_cast<double>(tokens) * cost), 1.0, 1e18));
}

routing::RateLimits rate_limits(const auth::TenantLimits& limits) {
  return {
      .requests_per_minute = limits.requests_per_minute, .tokens_per_minute = limits.tokens_per_minute, .concurrency = limits.concurrency};
}

/// What one limit's three fields take at most.
constexpr std::size_t kWindowBytes = sizeof(RateFields::text) + kDecimalBytes + 32 + routing::kResetBytes + 2;

template <std::size_t size>
char* write(char* out, const char (&text)[size]) {
  std::memcpy(out, text, size - 1);
  return out + size - 1;
}

RateFields first_fields(std::string_view of, std::uint64_t limit, std::uint64_t high) {
  RateFields fields{.text = {}, .high = high};
  char* end = fmt::format_to(fields.text.data(), "x-ratelimit-limit-{0}: {1}\r\nx-ratelimit-remaining-{0}: ", of, limit);
  if (high != 0) end = fmt::format_to(end, "{}", high);
  fields.size = static_cast<std::uint8_t>(end - fields.text.data());
  return fields;
}

/// Writes the three fields of one limit, at most kWindowBytes.
template <std::size_t size>
char* write_window(char* out, const routing::RateWindow& window, RateFields& first, std::string_view of, std::uint64_t limit,
                   const char (&reset_field)[size]) {
  constexpr std::uint64_t kEight = 100'000'000;
  const std::uint64_t high = window.remaining / kEight;
  if (high != first.high || first.size == 0) [[unlikely]] first = first_fields(of, limit, high);
  const auto low = static_cast<std::uint32_t>(window.remaining - high * kEight);
  std::memcpy(out, first.text.data(), first.text.size());
  out += first.size;
  out = high == 0 ? write_short_decimal(out, low) : write_eight_digits(out, low);
  out = routing::write_reset(write(out, reset_field), window.reset);
  return write(out, "\r\n");
}

AdmissionOutcome outcome_of(routing::RateVerdict verdict) {
  switch (verdict) {
    case routing::RateVerdict::kConcurrency: return AdmissionOutcome::kConcurrency;
    case routing::RateVerdict::kRequests: return AdmissionOutcome::kRequests;
    default: return AdmissionOutcome::kTokens;
  }
}

}  // namespace

AdmissionCore::AdmissionCore(net::EventLoop& loop, const Clock& clock, const config::AdmissionConfig& config,
                             routing::DegradationLadder ladder, telemetry::Registry& registry)
    : loop_(loop),
      clock_(clock),
      config_(config),
      ladder_(std::move(ladder)),
      queue_({.max_queued = config.max_queued}),
      metrics_(registry),
      capacity_(config.max_in_flight) {
  metrics_.set_capacity(capacity_);
}

AdmissionTenant& AdmissionCore::find_tenant(const Caller& caller, TimePoint now) {
  const std::string& name = caller.identity.tenant;
  const auth::Tenant& settings = caller.grant->tenant;
  AdmissionTenant* tenant = last_tenant_;
  if (tenant == nullptr || tenant->name != name) {
    auto found = tenants_.find(std::string_view(name));
    if (found == tenants_.end()) {
      forget_idle_tenants(now);
      auto made = std::make_unique<AdmissionTenant>(
          AdmissionTenant{.name = name,
                          .rates = routing::TenantRates(rate_limits(settings.limits)),
                          .flow = queue_.open(static_cast<std::size_t>(settings.priority), settings.weight, settings.limits.queued),
                          .priority = settings.priority,
                          .weight = settings.weight,
                          .queued = settings.limits.queued});
      found = tenants_.emplace(name, std::move(made)).first;
    }
    tenant = found->second.get();
    last_tenant_ = tenant;
  }
  if (const auto limits = rate_limits(settings.limits); limits != tenant->rates.limits()) {
    tenant->rates.set_limits(limits, now);
    tenant->request_fields = tenant->token_fields = {};
  }
  if (tenant->priority != settings.priority || tenant->weight != settings.weight || tenant->queued != settings.limits.queued) {
    tenant->priority = settings.priority;
    tenant->weight = settings.weight;
    tenant->queued = settings.limits.queued;
    queue_.set(tenant->flow, static_cast<std::size_t>(settings.priority), settings.weight, settings.limits.queued);
  }
  tenant->settled = caller.grant;
  return *tenant;
}

void AdmissionCore::forget_idle_tenants(TimePoint now) {
  if (tenants_.size() < sweep_at_) return;
  std::erase_if(tenants_, [&](const auto& entry) {
    if (!entry.second->rates.idle(now)) return false;
    queue_.close(entry.second->flow);
    return true;
  });
  last_tenant_ = nullptr;
  sweep_at_ = std::max<std::size_t>(4096, 2 * tenants_.size());
}

std::variant<Admission::Outcome, std::unique_ptr<Admission::Waiting>> AdmissionCore::admit(
    const AdmissionRequest& request, std::move_only_function<void(Admission::Outcome)>&& later) {
  const TimePoint now = clock_.now();
  AdmissionTenant& tenant = tenant_of(*request.caller, now);
  const std::uint64_t tokens = weigh(sum(request.prompt_tokens, request.max_tokens), request.cost);
  if (const auto verdict = tenant.rates.check(tokens, now); verdict != routing::RateVerdict::kOk) [[unlikely]]
    return std::unexpected(refuse(tenant, verdict, tokens, request.cost, now));
  const bool at_once = free_place() && queue_.empty();
  if (!ladder_.steps().empty()) {
    update_ladder(now);
    const bool low = tenant.priority == auth::PriorityClass::kSheddable && ladder_.holds(routing::DegradationKind::kDropLowPriority);
    const bool shed = !at_once && tenant.priority != auth::PriorityClass::kCritical && ladder_.holds(routing::DegradationKind::kShed);
    if (low || shed) {
      metrics_.count(low ? AdmissionOutcome::kLowPriority : AdmissionOutcome::kShed);
      return std::unexpected(refuse_by_shedding(low, ladder_retry_s(now)));
    }
  }
  if (!at_once) return enqueue(tenant, request, tokens, now, std::move(later));
  tenant.rates.take(tokens);
  queue_.pass(tenant.flow, static_cast<double>(tokens));
  metrics_.count(AdmissionOutcome::kAdmitted);
  return make_ticket(tenant, tokens, request.cost, Duration::zero());
}

std::unique_ptr<Admitted> AdmissionCore::make_ticket(AdmissionTenant& tenant, std::uint64_t reserved, double token_cost, Duration waited) {
  metrics_.set_in_flight(++in_flight_);
  return std::unique_ptr<Admitted>(new (*this) AdmissionTicket(*this, tenant, reserved, token_cost, waited));
}

std::variant<Admission::Outcome, std::unique_ptr<Admission::Waiting>> AdmissionCore::enqueue(
    AdmissionTenant& tenant, const AdmissionRequest& request, std::uint64_t tokens, TimePoint now,
    std::move_only_function<void(Admission::Outcome)>&& later) {
  // What is over its time makes room first.
  while (const auto expired = queue_.pop_expired(now))
    decide(*reinterpret_cast<AdmissionWaiter*>(*expired), AdmissionWaiter::Verdict::kExpired);
  const TimePoint longest = now + from_seconds(config_.max_queue_s);
  const TimePoint deadline = request.deadline == TimePoint{} ? longest : std::min(longest, request.deadline);
  std::unique_ptr<AdmissionWaiter> waiter(new (*this) AdmissionWaiter(*this, tenant, tokens, request.cost, now, std::move(later)));
  waiter->inside_ = false;
  const auto pushed = queue_.push(tenant.flow, static_cast<double>(tokens), deadline, reinterpret_cast<std::uint64_t>(waiter.get()));
  if (pushed.evicted) decide(*reinterpret_cast<AdmissionWaiter*>(*pushed.evicted), AdmissionWaiter::Verdict::kEvicted);
  if (pushed.place == 0) {
    const bool own = pushed.refusal == routing::FairQueue::Refusal::kFlowFull;
    metrics_.count(own ? AdmissionOutcome::kTenantQueue : AdmissionOutcome::kQueueFull);
    return std::unexpected(own ? refuse_by_tenant_queue(tenant.name, queue_.size(tenant.flow), queue_retry_s())
                               : refuse_by_full_queue(queue_.size(), queue_retry_s()));
  }
  waiter->place_ = pushed.place;
  waiter->inside_ = true;
  tenant.rates.take(tokens);
  metrics_.set_queued(queue_.size());
  if (free_place()) pump_soon();
  set_deadline_timer();
  return std::unique_ptr<Admission::Waiting>(std::move(waiter));
}

Refusal AdmissionCore::refuse(AdmissionTenant& tenant, routing::RateVerdict verdict, std::uint64_t tokens, double cost, TimePoint now) {
  metrics_.count(outcome_of(verdict));
  return refuse_by_rate(verdict, tenant.name, {tokens, cost}, tenant.rates.limits(), tenant.rates.tokens(now).remaining,
                        tenant.rates.wait(tokens, now));
}

void AdmissionCore::update_ladder(TimePoint now) {
  const double own = config_.max_queued == 0 ? 0 : static_cast<double>(queue_.size()) / config_.max_queued;
  const double saturation = std::max(upstream_saturation_, own);
  metrics_.set_saturation(saturation);
  if (ladder_.update(saturation, now)) metrics_.set_level(ladder_.level());
}

int AdmissionCore::ladder_retry_s(TimePoint now) const {
  const TimePoint next = ladder_.next_change();
  const int by_ladder = next == TimePoint::max() ? 1 : routing::retry_after_s(next - now);
  return std::clamp(std::max(by_ladder, queue_retry_s()), 1, kMostRetryS);
}

int AdmissionCore::queue_retry_s() const {
  const double seconds = std::ceil(mean_gap_s_ * queue_.size());
  return seconds >= kMostRetryS ? kMostRetryS : std::max(1, static_cast<int>(seconds));
}

std::optional<Refusal> AdmissionCore::count(const Caller& caller) {
  const TimePoint now = clock_.now();
  AdmissionTenant& tenant = tenant_of(caller, now);
  if (tenant.rates.count(now)) return std::nullopt;
  return refuse(tenant, routing::RateVerdict::kRequests, 0, 1, now);
}

Degradation AdmissionCore::degradation(const Caller& caller, std::string_view model) {
  Degradation degraded;
  if (ladder_.steps().empty()) return degraded;
  update_ladder(clock_.now());
  if (ladder_.level() == 0 || caller.grant->tenant.priority == auth::PriorityClass::kCritical) return degraded;
  degraded.cap_max_tokens = ladder_.cap_max_tokens();
  degraded.answer_from_cache = ladder_.holds(routing::DegradationKind::kCache);
  const std::string_view smaller = ladder_.smaller_model(model);
  if (!smaller.empty() && caller.grant->model(smaller) != nullptr) degraded.smaller_model = smaller;
  degraded.header = routing::degraded_header(degraded.cap_max_tokens != 0, degraded.answer_from_cache, !degraded.smaller_model.empty());
  return degraded;
}

void AdmissionCore::append_rate_limit_fields(std::string& field_lines, const Caller& caller) {
  const auth::TenantLimits& limits = caller.grant->tenant.limits;
  if (limits.requests_per_minute == 0 && limits.tokens_per_minute == 0) return;
  const TimePoint now = clock_.now();
  AdmissionTenant& tenant = tenant_of(caller, now);
  const std::size_t before = field_lines.size();
  field_lines.resize_and_overwrite(before + 2 * kWindowBytes, [&](char* text, std::size_t) {
    char* end = text + before;
    if (limits.requests_per_minute != 0)
      end = write_window(end, tenant.rates.requests(now), tenant.request_fields, "requests", limits.requests_per_minute,
                         "\r\nx-ratelimit-reset-requests: ");
    if (limits.tokens_per_minute != 0)
      end = write_window(end, tenant.rates.tokens(now), tenant.token_fields, "tokens", limits.tokens_per_minute,
                         "\r\nx-ratelimit-reset-tokens: ");
    return static_cast<std::size_t>(end - text);
  });
}

void AdmissionCore::set_capacity(std::uint32_t requests) {
  // The file bounds what the upstreams say, and what they say bounds the file.
  const std::uint32_t configured = config_.max_in_flight;
  capacity_ = configured == 0 || requests == 0 ? std::max(configured, requests) : std::min(configured, requests);
  metrics_.set_capacity(capacity_);
  if (!queue_.empty()) pump_soon();
}

void AdmissionCore::set_saturation(double upstream_saturation) {
  upstream_saturation_ = upstream_saturation >= 0 ? upstream_saturation : 0;
  if (!ladder_.steps().empty()) update_ladder(clock_.now());
}

std::uint64_t AdmissionCore::settle(AdmissionTenant& tenant, std::uint64_t reserved, double token_cost, std::uint64_t used_tokens) {
  const std::uint64_t used = weigh(used_tokens, token_cost);
  // What goes back may go back at any time; only what is owed must meet a bucket that is up to date.
  tenant.rates.settle(reserved, used, used > reserved ? clock_.now() : TimePoint{});
  queue_.settle(tenant.flow, static_cast<double>(reserved), static_cast<double>(used));
  return used;
}

void AdmissionCore::leave(AdmissionTenant& tenant, bool held) {
  tenant.rates.leave();
  if (!held) free_a_place();
}

void AdmissionCore::free_a_place() {
  metrics_.set_in_flight(--in_flight_);
  if (queue_.empty()) {
    last_end_ = {};
    return;
  }
  // How fast the queue moves, for Retry-After.
  const TimePoint now = clock_.now();
  if (last_end_ != TimePoint{}) mean_gap_s_ += 0.05 * (std::max(0.0, to_seconds(now - last_end_)) - mean_gap_s_);
  last_end_ = now;
  pump_soon();
}

}  // namespace flexpert::gateway
