#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/rng.h"

/// Which instance of a pool gets a request. Pure: time and randomness are arguments. A pool belongs to one thread.
namespace flexpert::routing {

enum class PickPolicy : std::uint8_t { kRoundRobin, kRandom, kPowerOfTwo, kLeastLoad, kPrefixHash, kSession };

struct PickOptions {
  PickPolicy policy = PickPolicy::kLeastLoad;
  double prefix_load_factor = 1.25;      ///< bounded load: nobody gets more than this times the mean
  Duration slow_start = Duration::zero();///< a new instance's share grows over so long
  std::uint32_t eject_after_failures = 5;///< in a row; 0 = never
  Duration eject = Seconds(10);          ///< the first time; doubles up to eject_max
  Duration eject_max = Seconds(300);
  double max_ejected_share = 0.5;
  std::uint32_t max_in_flight = 0;       ///< circuit breaker of one instance; 0 = none
};

/// One instance. Its address in memory is stable while it is in the pool or a ticket names it.
struct Endpoint {
  std::string id;
  double weight = 1;                     ///< relative speed, > 0
  double capacity_tokens = 0;            ///< in flight and queued that it takes well; 0 = unknown
  double cost = 1;                       ///< of a token there
  bool ready = false;
  bool draining = false;                 ///< gets nothing new
  TimePoint ready_since{};
  double reported_tokens = 0;            ///< what it says is queued there beyond what we sent
  std::uint32_t in_flight = 0;           ///< attempts of ours
  double in_flight_tokens = 0;
  std::uint64_t last_used = 0;
  std::uint32_t failures_in_a_row = 0;
  std::uint32_t ejections = 0;
  TimePoint ejected_until{};
};

/// What a choice may go by. Hashes come from what the policy lets a client influence, and only choose among what is allowed.
struct PickRequest {
  double tokens = 1;                     ///< that the attempt adds
  std::uint64_t prefix_hash = 0;
  std::uint64_t session_hash = 0;
  std::span<const Endpoint* const> excluded{};
};

/// One attempt's load on one endpoint; given back when it dies, however the attempt ended.
class LoadTicket {
 public:
  LoadTicket() = default;
  LoadTicket(std::shared_ptr<Endpoint> endpoint, double tokens);
  LoadTicket(LoadTicket&& other) noexcept : endpoint_(std::exchange(other.endpoint_, nullptr)), tokens_(std::exchange(other.tokens_, 0)) {}
  LoadTicket& operator=(LoadTicket&& other) noexcept;
  ~LoadTicket() { release(); }
  void release();
  [[nodiscard]] Endpoint* endpoint() const { return endpoint_.get(); }
  [[nodiscard]] bool held() const { return endpoint_ != nullptr; }

 private:
  std::shared_ptr<Endpoint> endpoint_;
  double tokens_ = 0;
};

/// The instances that may serve one model.
class EndpointPool {
 public:
  explicit EndpointPool(PickOptions options) : options_(options) {}
  /// Finds or adds `id`. Changing `ready` etc. is the caller's.
  std::shared_ptr<Endpoint> upsert(std::string_view id);
  void add(std::shared_ptr<Endpoint> endpoint);  ///< one that other pools have too
  void remove(std::string_view id);
  void set_options(PickOptions options) { options_ = options; }
  /// Must be called after endpoints became ready, not ready, draining, or changed weight.
  void changed();

  /// Takes the load of one attempt on the endpoint that the policy picks; nothing held if none may take it.
  LoadTicket pick(const PickRequest& request, TimePoint now, Rng& rng);
  /// What became of an attempt, for ejection. `failed`: connect errors, resets, 5xx other than 503 with Retry-After.
  void report(Endpoint& endpoint, bool failed, TimePoint now);
  [[nodiscard]] std::span<const std::shared_ptr<Endpoint>> endpoints() const { return endpoints_; }
  [[nodiscard]] bool any_usable(TimePoint now) const;

 private:
  PickOptions options_;
  std::vector<std::shared_ptr<Endpoint>> endpoints_;
  std::uint64_t sequence_ = 0;
};

/// Lets at most a share of requests be retried, over a sliding window, with a small floor so that a quiet gateway may retry too.
class RetryBudget {
 public:
  explicit RetryBudget(double share = 0.1, double floor_per_s = 1) : share_(share), floor_per_s_(floor_per_s) {}
  void note_request(TimePoint now);
  /// Takes a retry out of the budget; false: there is none.
  bool take(TimePoint now);

 private:
  double share_;
  double floor_per_s_;
  double balance_ = 0;
  TimePoint last_{};
};

}  // namespace flexpert::routing
