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
#include "routing/hash_ring.h"
#include "routing/retry_budget.h"

/// Which instance of a pool gets a request. Pure: time and randomness are arguments. Pools and endpoints that know each other,
/// and their tickets, belong to one thread.
namespace flexpert::routing {

enum class PickPolicy : std::uint8_t { kRoundRobin, kRandom, kPowerOfTwo, kLeastLoad, kPrefixHash, kSession };

struct PickOptions {
  PickPolicy policy = PickPolicy::kLeastLoad;
  double prefix_load_factor = 1.25;      ///< bounded load: who has this times its share already gets no more; over 1
  Duration slow_start = Duration::zero();///< a new instance's share grows over so long
  std::uint32_t eject_after_failures = 5;///< in a row; 0 = never
  Duration eject = Seconds(10);          ///< the first time; doubles up to eject_max
  Duration eject_max = Seconds(300);
  double max_ejected_share = 0.5;        ///< of the ready ones; the last one is never ejected
  std::uint32_t max_in_flight = 0;       ///< circuit breaker of one instance; 0 = none
};

/// What is in flight on the endpoints that a pool may pick now, all together.
struct PoolLoad {
  double tokens = 0;
  std::uint64_t in_flight = 0;
  bool stale = true;  ///< the pool has to look at its endpoints again
};

/// One instance. Its address in memory is stable while it is in a pool or a ticket names it. May be in several pools: of the
/// models that it serves.
struct alignas(64) Endpoint {
  // What every pick reads, in one cache line.
  double in_flight_tokens = 0;
  std::uint64_t last_used = 0;
  std::uint32_t in_flight = 0;           ///< attempts of ours
  bool ready = false;
  bool draining = false;                 ///< gets nothing new

  std::string id;
  double weight = 1;                     ///< relative speed, > 0
  double capacity_tokens = 0;            ///< in flight and queued that it takes well; 0 = unknown: by weight
  double cost = 1;                       ///< of a token there, > 0
  double reported_tokens = 0;            ///< what it says is queued there beyond what we sent
  TimePoint ready_since{};
  std::uint32_t failures_in_a_row = 0;
  std::uint32_t ejections = 0;           ///< since it last was well for as long as it had been out
  TimePoint ejected_until{};
  Duration ejected_for{};                ///< the last time
  std::uint32_t tag = 0;                 ///< by which its owner knows it

  static std::shared_ptr<Endpoint> make(std::string_view id);
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;
  /// Must be called after `ready`, `draining`, `weight`, `capacity_tokens`, `cost`, `reported_tokens` or `ready_since` changed.
  /// Its pools look at it again with their next pick.
  void changed();
  [[nodiscard]] std::uint64_t id_hash() const { return id_hash_; }

 private:
  friend class EndpointPool;
  friend class LoadTicket;
  explicit Endpoint(std::string_view name);
  ~Endpoint() = default;
  static void let_go(Endpoint* endpoint);

  std::vector<PoolLoad*> counted_by_;    // pools that need the sum of their endpoints' loads
  std::vector<PoolLoad*> pools_;
  std::uint64_t id_hash_;
  bool orphaned_ = false;                // in no pool any more: the last ticket deletes it
};

/// What a choice may go by. Hashes come from what the policy lets a client influence, and only choose among what is allowed.
struct PickRequest {
  double tokens = 1;                     ///< that the attempt adds
  std::uint64_t prefix_hash = 0;         ///< 0 = none: least load decides
  std::uint64_t session_hash = 0;        ///< the same
  std::span<const Endpoint* const> excluded{};
};

/// One attempt's load on one endpoint; given back when it dies, however the attempt ended. Keeps the endpoint alive.
class LoadTicket {
 public:
  LoadTicket() = default;
  LoadTicket(Endpoint& endpoint, double tokens);
  LoadTicket(LoadTicket&& other) noexcept : endpoint_(std::exchange(other.endpoint_, nullptr)), tokens_(std::exchange(other.tokens_, 0)) {}
  LoadTicket& operator=(LoadTicket&& other) noexcept {
    if (this != &other) {
      release();
      endpoint_ = std::exchange(other.endpoint_, nullptr);
      tokens_ = std::exchange(other.tokens_, 0);
    }
    return *this;
  }
  ~LoadTicket() { release(); }
  /// Gives the load back early. Safe to repeat.
  void release() {
    if (endpoint_ != nullptr) give_back();
  }
  [[nodiscard]] Endpoint* endpoint() const { return endpoint_; }
  [[nodiscard]] bool held() const { return endpoint_ != nullptr; }

 private:
  void give_back();

  Endpoint* endpoint_ = nullptr;
  double tokens_ = 0;
};

/// The instances that may serve one model.
class EndpointPool {
 public:
  explicit EndpointPool(PickOptions options) : options_(options), load_(std::make_unique<PoolLoad>()) {}
  ~EndpointPool();
  EndpointPool(const EndpointPool&) = delete;
  EndpointPool& operator=(const EndpointPool&) = delete;

  /// Finds or adds `id`. Changing `ready` etc. is the caller's.
  std::shared_ptr<Endpoint> upsert(std::string_view id);
  /// Adds one that other pools have too; nothing if it is here already.
  void add(std::shared_ptr<Endpoint> endpoint);
  /// Attempts that are on their way keep their tickets.
  void remove(std::string_view id);
  void set_options(PickOptions options);
  [[nodiscard]] const PickOptions& options() const { return options_; }
  /// Must be called after endpoints changed; Endpoint::changed() does it for all pools of one.
  void changed() { load_->stale = true; }

  /// Takes the load of one attempt on the endpoint that the policy picks; nothing held if none may take it.
  LoadTicket pick(const PickRequest& request, TimePoint now, Rng& rng);
  /// What became of an attempt, for ejection. `failed`: connect errors, resets, 5xx other than 503 with Retry-After.
  void report(Endpoint& endpoint, bool failed, TimePoint now);
  [[nodiscard]] std::span<const std::shared_ptr<Endpoint>> endpoints() const { return endpoints_; }
  /// Tells whether a pick would find one.
  [[nodiscard]] bool any_usable(TimePoint now);

 private:
  /// An endpoint that may be picked, with what about it changes seldom.
  struct Slot {
    Endpoint* endpoint = nullptr;
    double factor = 1;        // of tokens, to make them comparable: cost / capacity
    double reported = 0;
    double share = 1;         // of the pool's capacity
    TimePoint warm_at{};      // the end of its slow start
  };
  void look(TimePoint now);
  void count_loads();
  void stop_counting();
  bool may_take(const Slot& slot, const PickRequest& request) const;
  double warmth(const Slot& slot, TimePoint now) const;
  double score(const Slot& slot, const PickRequest& request, TimePoint now) const;
  Slot* round_robin(const PickRequest& request, TimePoint now);
  Slot* random(const PickRequest& request, TimePoint now, Rng& rng);
  Slot* power_of_two(const PickRequest& request, TimePoint now, Rng& rng);
  Slot* least_load(const PickRequest& request, TimePoint now);
  Slot* by_hash(std::uint64_t hash, const PickRequest& request, TimePoint now);
  [[nodiscard]] bool hashes() const { return options_.policy == PickPolicy::kPrefixHash || options_.policy == PickPolicy::kSession; }

  PickOptions options_;
  std::vector<std::shared_ptr<Endpoint>> endpoints_;
  std::uint64_t sequence_ = 0;
  std::unique_ptr<PoolLoad> load_;      // endpoints point to it

  // Made by look():
  std::vector<Slot> slots_;
  std::vector<double> weights_up_to_;   // of slots, summed
  std::vector<double> credits_;         // of slots, for taking turns
  std::vector<std::uint32_t> eligible_;
  std::size_t turn_ = 0;
  double heaviest_ = 1;
  double reported_ = 0;
  bool warming_ = false;
  TimePoint look_again_ = TimePoint::max();
  HashRing ring_;
};

}  // namespace flexpert::routing
