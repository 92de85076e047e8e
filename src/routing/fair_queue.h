#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "routing/indexed_heap.h"

namespace flexpert::routing {

/// Lower = served first; the numbers of auth::PriorityClass.
inline constexpr std::size_t kPriorityClasses = 3;

struct FairQueueOptions {
  std::uint32_t max_queued = 1000;    ///< in all; at most 2^24 - 1
  /// A class that waits is served at the latest after so many of more important ones were served in its place.
  std::uint32_t starvation_guard = 16;
};

/// Requests that wait, and whose turn it is. Between classes: strict priority, but for the starvation guard. Inside a class:
/// start-time fair queueing between flows (Goyal, Vin, Cheng 1996): a flow's share of what is served is its weight's, measured
/// in cost; a flow that comes back from idling gets no credit for it. Inside a flow: first come, first served. Every operation is
/// O(log n) and allocates nothing once the queue has been as long before. Ties go by arrival, never by hashing. Pure; one thread.
class FairQueue {
 public:
  using Flow = std::uint32_t;
  /// Names one waiting request; never reused; 0 names none.
  using Place = std::uint64_t;

  explicit FairQueue(FairQueueOptions options = {});
  FairQueue(const FairQueue&) = delete;
  FairQueue& operator=(const FairQueue&) = delete;

  /// Adds a flow (a tenant). `weight` is clamped to [1e-3, 1e6]; `max_queued`: of this flow, 0 = only the queue's own bound.
  Flow open(std::size_t priority, double weight, std::uint32_t max_queued);
  /// Changes a flow; what waits goes with it.
  void set(Flow flow, std::size_t priority, double weight, std::uint32_t max_queued);
  /// Forgets a flow in which nothing waits.
  void close(Flow flow);

  enum class Refusal : std::uint8_t { kNone, kQueueFull, kFlowFull };
  struct Pushed {
    Place place = 0;                   ///< 0: refused
    Refusal refusal = Refusal::kNone;
    std::optional<std::uint64_t> evicted{};  ///< tag of the request that had to go instead
  };
  /// Adds a request that costs `cost` (clamped to [1, 1e9]) and gives up at `deadline`. In a full queue the newest of the least
  /// important class goes, of that flow of it that has most waiting for its weight; that may be the newcomer itself.
  Pushed push(Flow flow, double cost, TimePoint deadline, std::uint64_t tag);
  /// Removes and returns the tag of the one whose turn it is.
  std::optional<std::uint64_t> pop();
  /// Removes and returns the tag of one whose deadline is not after `now`, the earliest first.
  std::optional<std::uint64_t> pop_expired(TimePoint now);
  /// Removes one; false: it is not there any more.
  bool remove(Place place);
  /// Counts a request of `flow` that was served without waiting, so that it does not come free.
  void pass(Flow flow, double cost);
  /// Corrects what a served request cost by what it cost really.
  void settle(Flow flow, double estimated, double real);

  [[nodiscard]] std::uint32_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::uint32_t size(Flow flow) const { return flows_[flow].queued; }
  [[nodiscard]] std::uint32_t max_queued() const { return options_.max_queued; }
  [[nodiscard]] std::optional<TimePoint> next_deadline() const;

 private:
  static constexpr std::uint32_t kNone = 0xffffffff;
  struct Item {
    double cost = 0;
    TimePoint deadline{};
    std::uint64_t tag = 0;
    Place place = 0;  ///< 0 = free
    Flow flow = 0;
    std::uint32_t before = kNone;
    std::uint32_t after = kNone;  ///< also the list of free ones
    std::uint32_t in_deadlines = kNone;
  };
  struct FlowState {
    double weight = 1;
    double start = 0;  ///< virtual time at which its next request begins
    std::uint32_t most = 0;
    std::uint32_t queued = 0;
    std::uint32_t first = kNone;
    std::uint32_t last = kNone;
    std::uint32_t in_turns = kNone;
    std::uint32_t in_backlogs = kNone;
    std::uint8_t priority = 0;
    bool open = false;
  };
  struct SoonerDeadline {
    FairQueue* queue;
    bool operator()(std::uint32_t a, std::uint32_t b) const;
  };
  struct DeadlinePosition {
    FairQueue* queue;
    std::uint32_t& operator()(std::uint32_t index) const { return queue->items_[index].in_deadlines; }
  };
  struct EarlierTurn {
    FairQueue* queue;
    bool operator()(std::uint32_t a, std::uint32_t b) const;
  };
  struct TurnPosition {
    FairQueue* queue;
    std::uint32_t& operator()(std::uint32_t index) const { return queue->flows_[index].in_turns; }
  };
  struct LongerBacklog {
    FairQueue* queue;
    bool operator()(std::uint32_t a, std::uint32_t b) const;
  };
  struct BacklogPosition {
    FairQueue* queue;
    std::uint32_t& operator()(std::uint32_t index) const { return queue->flows_[index].in_backlogs; }
  };
  struct Class {
    explicit Class(FairQueue* queue) : turns({queue}, {queue}), backlogs({queue}, {queue}) {}
    IndexedHeap<EarlierTurn, TurnPosition> turns;
    IndexedHeap<LongerBacklog, BacklogPosition> backlogs;
    double now = 0;                  ///< virtual time: the start of what was served last
    std::uint32_t passed_over = 0;   ///< served of more important classes since this one was
  };

  std::uint32_t take_item();
  std::uint64_t drop(std::uint32_t index);
  std::size_t class_to_serve();
  [[nodiscard]] std::optional<std::uint32_t> victim_for(const FlowState& newcomer, Flow flow) const;
  void advance(Class& of, FlowState& flow, double cost);
  void rebase(Class& of, std::size_t priority);

  FairQueueOptions options_;
  std::vector<Item> items_;
  std::vector<FlowState> flows_;
  std::vector<Flow> free_flows_;
  std::uint32_t free_items_ = kNone;
  std::uint32_t size_ = 0;
  std::uint64_t sequence_ = 0;
  std::array<Class, kPriorityClasses> classes_;
  IndexedHeap<SoonerDeadline, DeadlinePosition> deadlines_;
};

}  // namespace flexpert::routing
