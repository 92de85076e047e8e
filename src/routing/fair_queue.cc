#include "routing/fair_queue.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace flexpert::routing {
namespace {

/// Virtual times are moved back to zero from here, long before a double could not tell two neighbours apart.
constexpr double kRebaseFrom = 1e9;
/// A place is a sequence number and the slot of its item.
constexpr int kSlotBits = 24;
constexpr std::uint32_t kMostSlots = (1U << kSlotBits) - 1;

double sane_cost(double cost) { return cost >= 1 ? std::min(cost, 1e9) : 1; }
double sane_weight(double weight) { return weight >= 1e-3 ? std::min(weight, 1e6) : 1e-3; }
std::uint8_t sane_priority(std::size_t priority) { return static_cast<std::uint8_t>(std::min(priority, kPriorityClasses - 1)); }

}  // namespace

bool FairQueue::SoonerDeadline::operator()(std::uint32_t a, std::uint32_t b) const {
  const Item& left = queue->items_[a];
  const Item& right = queue->items_[b];
  return left.deadline != right.deadline ? left.deadline < right.deadline : left.place < right.place;
}

bool FairQueue::EarlierTurn::operator()(std::uint32_t a, std::uint32_t b) const {
  const FlowState& left = queue->flows_[a];
  const FlowState& right = queue->flows_[b];
  return left.start != right.start ? left.start < right.start : queue->items_[left.first].place < queue->items_[right.first].place;
}

bool FairQueue::LongerBacklog::operator()(std::uint32_t a, std::uint32_t b) const {
  const FlowState& left = queue->flows_[a];
  const FlowState& right = queue->flows_[b];
  const double left_share = left.queued * right.weight;
  const double right_share = right.queued * left.weight;
  return left_share != right_share ? left_share > right_share : queue->items_[left.last].place > queue->items_[right.last].place;
}

FairQueue::FairQueue(FairQueueOptions options)
    : options_{std::min(options.max_queued, kMostSlots), options.starvation_guard},
      classes_{Class(this), Class(this), Class(this)},
      deadlines_({this}, {this}) {}

FairQueue::Flow FairQueue::open(std::size_t priority, double weight, std::uint32_t max_queued) {
  Flow flow = 0;
  if (free_flows_.empty()) {
    flow = static_cast<Flow>(flows_.size());
    flows_.emplace_back();
  } else {
    flow = free_flows_.back();
    free_flows_.pop_back();
  }
  flows_[flow] = {.weight = sane_weight(weight), .most = max_queued, .priority = sane_priority(priority), .open = true};
  return flow;
}

void FairQueue::set(Flow flow, std::size_t priority, double weight, std::uint32_t max_queued) {
  FlowState& state = flows_[flow];
  const bool waiting = state.queued > 0;
  if (waiting) {
    classes_[state.priority].turns.remove(flow);
    classes_[state.priority].backlogs.remove(flow);
  }
  if (const std::uint8_t moved = sane_priority(priority); moved != state.priority) {
    // What it is ahead of its class counts in the other class too.
    state.start = classes_[moved].now + std::max(0.0, state.start - classes_[state.priority].now);
    state.priority = moved;
  }
  state.weight = sane_weight(weight);
  state.most = max_queued;
  if (waiting) {
    classes_[state.priority].turns.push(flow);
    classes_[state.priority].backlogs.push(flow);
  }
}

void FairQueue::close(Flow flow) {
  FLEXPERT_CHECK(flows_[flow].open && flows_[flow].queued == 0, "a flow that is closed has nothing waiting");
  flows_[flow].open = false;
  free_flows_.push_back(flow);
}

std::uint32_t FairQueue::take_item() {
  if (free_items_ == kNone) {
    items_.emplace_back();
    return static_cast<std::uint32_t>(items_.size() - 1);
  }
  return std::exchange(free_items_, items_[free_items_].after);
}

std::optional<std::uint32_t> FairQueue::victim_for(const FlowState& newcomer, Flow flow) const {
  for (std::size_t priority = kPriorityClasses; priority-- > newcomer.priority;) {
    const auto& backlogs = classes_[priority].backlogs;
    if (priority > newcomer.priority && !backlogs.empty()) return flows_[backlogs.top()].last;
    if (priority > newcomer.priority) continue;
    if (backlogs.empty() || backlogs.top() == flow) return std::nullopt;
    const FlowState& longest = flows_[backlogs.top()];
    if (longest.queued * newcomer.weight > (newcomer.queued + 1) * longest.weight) return longest.last;
  }
  return std::nullopt;
}

FairQueue::Pushed FairQueue::push(Flow flow, double cost, TimePoint deadline, std::uint64_t tag) {
  Pushed pushed;
  {
    const FlowState& state = flows_[flow];
    if (state.most != 0 && state.queued >= state.most) return {.refusal = Refusal::kFlowFull};
    if (size_ >= options_.max_queued) {
      const auto victim = victim_for(state, flow);
      if (!victim) return {.refusal = Refusal::kQueueFull};
      pushed.evicted = drop(*victim);
    }
  }
  const std::uint32_t index = take_item();
  FlowState& state = flows_[flow];
  Class& of = classes_[state.priority];
  // The place names the slot too, so that remove() finds it at once.
  pushed.place = (++sequence_ << kSlotBits) | index;
  items_[index] = {.cost = sane_cost(cost), .deadline = deadline, .tag = tag, .place = pushed.place, .flow = flow, .before = state.last};
  ++size_;
  ++state.queued;
  if (state.last != kNone) items_[state.last].after = index;
  state.last = index;
  deadlines_.push(index);
  if (state.first == kNone) {
    state.first = index;
    state.start = std::max(state.start, of.now);
    if (of.turns.empty()) of.passed_over = 0;
    of.turns.push(flow);
    of.backlogs.push(flow);
  } else {
    of.backlogs.update(flow);
  }
  return pushed;
}

std::uint64_t FairQueue::drop(std::uint32_t index) {
  Item& item = items_[index];
  FlowState& state = flows_[item.flow];
  Class& of = classes_[state.priority];
  deadlines_.remove(index);
  const bool was_first = state.first == index;
  const bool only = was_first && state.last == index;
  if (only) {
    of.turns.remove(item.flow);
    of.backlogs.remove(item.flow);
  }
  (item.before == kNone ? state.first : items_[item.before].after) = item.after;
  (item.after == kNone ? state.last : items_[item.after].before) = item.before;
  --state.queued;
  --size_;
  if (!only) {
    if (was_first) of.turns.update(item.flow);
    of.backlogs.update(item.flow);
  }
  item.place = 0;
  item.after = std::exchange(free_items_, index);
  return item.tag;
}

std::size_t FairQueue::class_to_serve() {
  std::size_t first = kPriorityClasses;
  std::size_t starved = kPriorityClasses;
  for (std::size_t priority = 0; priority < kPriorityClasses; ++priority) {
    if (classes_[priority].turns.empty()) continue;
    if (first == kPriorityClasses) first = priority;
    else if (starved == kPriorityClasses && classes_[priority].passed_over >= options_.starvation_guard) starved = priority;
  }
  const std::size_t served = starved != kPriorityClasses ? starved : first;
  classes_[served].passed_over = 0;
  for (std::size_t priority = served + 1; priority < kPriorityClasses; ++priority)
    if (!classes_[priority].turns.empty()) ++classes_[priority].passed_over;
  return served;
}

void FairQueue::advance(Class& of, FlowState& flow, double cost) {
  of.now = std::max(of.now, flow.start);
  flow.start = of.now + cost / flow.weight;
}

void FairQueue::rebase(Class& of, std::size_t priority) {
  if (of.now < kRebaseFrom) return;
  for (FlowState& flow : flows_)
    if (flow.priority == priority) flow.start -= of.now;
  of.now = 0;
  of.turns.rebuild();  // rounding may have made equals of what was not
}

std::optional<std::uint64_t> FairQueue::pop() {
  if (size_ == 0) return std::nullopt;
  const std::size_t priority = class_to_serve();
  Class& of = classes_[priority];
  const Flow flow = of.turns.top();
  FlowState& state = flows_[flow];
  const std::uint32_t index = state.first;
  advance(of, state, items_[index].cost);
  const std::uint64_t tag = drop(index);
  rebase(of, priority);
  return tag;
}

std::optional<std::uint64_t> FairQueue::pop_expired(TimePoint now) {
  if (deadlines_.empty() || items_[deadlines_.top()].deadline > now) return std::nullopt;
  return drop(deadlines_.top());
}

bool FairQueue::remove(Place place) {
  const std::size_t index = place & kMostSlots;
  if (place == 0 || index >= items_.size() || items_[index].place != place) return false;
  drop(static_cast<std::uint32_t>(index));
  return true;
}

void FairQueue::pass(Flow flow, double cost) {
  FlowState& state = flows_[flow];
  Class& of = classes_[state.priority];
  if (state.queued > 0) return;
  state.start = std::max(state.start, of.now);
  advance(of, state, sane_cost(cost));
  rebase(of, state.priority);
}

void FairQueue::settle(Flow flow, double estimated, double real) {
  FlowState& state = flows_[flow];
  if (!state.open) return;
  Class& of = classes_[state.priority];
  state.start = std::max(of.now, state.start + (sane_cost(real) - sane_cost(estimated)) / state.weight);
  if (state.queued > 0) of.turns.update(flow);
}

std::optional<TimePoint> FairQueue::next_deadline() const {
  if (deadlines_.empty()) return std::nullopt;
  return items_[deadlines_.top()].deadline;
}

}  // namespace flexpert::routing
