#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "config/gateway_options.h"
#include "gateway/admission.h"
#include "gateway/admission_metrics.h"
#include "gateway/block_pool.h"
#include "net/event_loop.h"
#include "routing/degradation.h"
#include "routing/fair_queue.h"
#include "routing/rate_limit.h"

namespace flexpert::gateway {

/// What hardly ever changes from one request to the next in the fields of a limit: up to the last eight digits of what remains.
struct RateFields {
  std::array<char, 96> text;  ///< as long for every limit, so that it is copied without a look
  std::uint8_t size = 0;
  std::uint64_t high = 0;     ///< digits of what remains that are at its end; 0: none
};

/// One tenant's state; stays where it is while a request of it is inside.
struct AdmissionTenant {
  std::string name;
  routing::TenantRates rates;
  routing::FairQueue::Flow flow = 0;
  auth::PriorityClass priority = auth::PriorityClass::kStandard;
  double weight = 1;
  std::uint32_t queued = 0;
  std::shared_ptr<const auth::Grant> settled{};  ///< whose settings are those here
  RateFields request_fields{};
  RateFields token_fields{};
};

class AdmissionCore;

/// An admitted request's place, in pooled memory.
class AdmissionTicket final : public Admitted {
 public:
  AdmissionTicket(AdmissionCore& core, AdmissionTenant& tenant, std::uint64_t reserved, double token_cost, Duration waited)
      : core_(core), tenant_(tenant), reserved_(reserved), token_cost_(token_cost), waited_(waited) {}
  ~AdmissionTicket() override;
  void settle(std::uint64_t prompt_tokens, std::uint64_t completion_tokens) override;
  void hold(bool held) override;
  [[nodiscard]] Duration waited() const override { return waited_; }

  static void* operator new(std::size_t size, AdmissionCore& core);
  static void operator delete(void* memory);
  static void operator delete(void* memory, AdmissionCore& core);

 private:
  AdmissionCore& core_;
  AdmissionTenant& tenant_;
  std::uint64_t reserved_;
  double token_cost_;
  Duration waited_;
  bool held_ = false;
};

/// A request in the queue. Its memory is pooled too.
class AdmissionWaiter final : public Admission::Waiting {
 public:
  enum class Verdict : std::uint8_t { kNone, kEvicted, kExpired };

  AdmissionWaiter(AdmissionCore& core, AdmissionTenant& tenant, std::uint64_t reserved, double token_cost, TimePoint since,
                  std::move_only_function<void(Admission::Outcome)> later)
      : core_(core), tenant_(tenant), reserved_(reserved), token_cost_(token_cost), since_(since), later_(std::move(later)) {}
  ~AdmissionWaiter() override;

  static void* operator new(std::size_t size, AdmissionCore& core);
  static void operator delete(void* memory);
  static void operator delete(void* memory, AdmissionCore& core);

 private:
  friend class AdmissionCore;
  AdmissionCore& core_;
  AdmissionTenant& tenant_;
  std::uint64_t reserved_;
  double token_cost_;
  TimePoint since_;
  std::move_only_function<void(Admission::Outcome)> later_;
  routing::FairQueue::Place place_ = 0;  ///< 0 = not in the queue
  Verdict verdict_ = Verdict::kNone;
  bool inside_ = true;                   ///< takes one of its tenant's places
};

/// What tickets and waiters give things back to. Lives until its Admission and all of them are gone.
class AdmissionCore {
 public:
  /// Each block begins with the core that it goes back to.
  static constexpr std::size_t kBlockHead = alignof(std::max_align_t);
  static constexpr std::size_t kBlockSize =
      kBlockHead + (sizeof(AdmissionWaiter) > sizeof(AdmissionTicket) ? sizeof(AdmissionWaiter) : sizeof(AdmissionTicket));

  AdmissionCore(net::EventLoop& loop, const Clock& clock, const config::AdmissionConfig& config, routing::DegradationLadder ladder,
                telemetry::Registry& registry);
  AdmissionCore(const AdmissionCore&) = delete;
  AdmissionCore& operator=(const AdmissionCore&) = delete;

  std::variant<Admission::Outcome, std::unique_ptr<Admission::Waiting>> admit(const AdmissionRequest& request,
                                                                             std::move_only_function<void(Admission::Outcome)>&& later);
  std::optional<Refusal> count(const Caller& caller);
  Degradation degradation(const Caller& caller, std::string_view model);
  void append_rate_limit_fields(std::string& field_lines, const Caller& caller);
  void set_capacity(std::uint32_t requests);
  void set_saturation(double upstream_saturation);
  [[nodiscard]] std::uint32_t in_flight() const { return in_flight_; }
  [[nodiscard]] std::uint32_t queued() const { return queue_.size(); }
  /// The Admission is gone.
  void close();

  void* take_block();
  void give_block(void* memory);

 private:
  friend class AdmissionTicket;
  friend class AdmissionWaiter;
  struct NameHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const { return std::hash<std::string_view>()(name); }
  };

  AdmissionTenant& tenant_of(const Caller& caller, TimePoint now) {
    if (last_tenant_ != nullptr && last_tenant_->settled == caller.grant) [[likely]] return *last_tenant_;
    return find_tenant(caller, now);
  }
  AdmissionTenant& find_tenant(const Caller& caller, TimePoint now);
  void forget_idle_tenants(TimePoint now);
  [[nodiscard]] bool free_place() const { return capacity_ == 0 || in_flight_ < capacity_; }
  [[nodiscard]] std::unique_ptr<Admitted> make_ticket(AdmissionTenant& tenant, std::uint64_t reserved, double token_cost, Duration waited);
  std::variant<Admission::Outcome, std::unique_ptr<Admission::Waiting>> enqueue(AdmissionTenant& tenant, const AdmissionRequest& request,
                                                                                std::uint64_t tokens, TimePoint now,
                                                                                std::move_only_function<void(Admission::Outcome)>&& later);
  Refusal refuse(AdmissionTenant& tenant, routing::RateVerdict verdict, std::uint64_t tokens, double cost, TimePoint now);
  void update_ladder(TimePoint now);
  [[nodiscard]] int ladder_retry_s(TimePoint now) const;
  [[nodiscard]] int queue_retry_s() const;
  /// Returns what `used_tokens` weigh.
  std::uint64_t settle(AdmissionTenant& tenant, std::uint64_t reserved, double token_cost, std::uint64_t used_tokens);
  void leave(AdmissionTenant& tenant, bool held);
  void free_a_place();
  void forget(AdmissionWaiter& waiter);
  void decide(AdmissionWaiter& waiter, AdmissionWaiter::Verdict verdict);
  void pump_soon();
  void pump();
  void deliver_refusals(TimePoint now);
  void set_deadline_timer();

  net::EventLoop& loop_;
  const Clock& clock_;
  const config::AdmissionConfig config_;
  routing::DegradationLadder ladder_;
  routing::FairQueue queue_;
  AdmissionMetrics metrics_;
  BlockPool<kBlockSize> blocks_;
  std::unordered_map<std::string, std::unique_ptr<AdmissionTenant>, NameHash, std::equal_to<>> tenants_;
  AdmissionTenant* last_tenant_ = nullptr;
  std::size_t sweep_at_ = 4096;
  std::uint32_t capacity_ = 0;
  std::uint32_t in_flight_ = 0;
  double upstream_saturation_ = 0;
  double mean_gap_s_ = 0;         ///< between two ends of requests, smoothed
  TimePoint last_end_{};
  std::vector<AdmissionWaiter*> decided_;  ///< to be told
  net::TimerId pump_timer_ = 0;
  net::TimerId deadline_timer_ = 0;
  TimePoint deadline_set_{};
  std::size_t outside_ = 0;       ///< blocks in use
  bool pumping_ = false;
  bool closed_ = false;
};

}  // namespace flexpert::gateway
