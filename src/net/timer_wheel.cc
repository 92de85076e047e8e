#include "net/timer_wheel.h"

#include <algorithm>
#include <bit>

#include "net/event_loop.h"

namespace flexpert::net {

CoarseTimer::CoarseTimer(EventLoop& loop) : wheel_(loop.wheel()) {}

CoarseTimer::~CoarseTimer() { TimerWheel::take(*this); }

void CoarseTimer::set(Duration delay) { wheel_.set(*this, delay); }

void TimerWheel::Ring::mark(std::int64_t index) {
  const auto slot = static_cast<std::size_t>(index % kSlots);
  used[slot / 64] |= std::uint64_t{1} << (slot % 64);
}

std::int64_t TimerWheel::Ring::first_after(std::int64_t index) {
  for (std::int64_t at = index + 1; at < index + kSlots;) {
    const auto slot = static_cast<std::size_t>(at % kSlots);
    const std::uint64_t rest = used[slot / 64] >> (slot % 64);
    if (rest == 0) {
      at += static_cast<std::int64_t>(64 - slot % 64);
      continue;
    }
    at += std::countr_zero(rest);
    if (at >= index + kSlots) return -1;
    if (list(at) != nullptr) return at;
    const auto empty = static_cast<std::size_t>(at % kSlots);
    used[empty / 64] &= ~(std::uint64_t{1} << (empty % 64));
    ++at;
  }
  return -1;
}

void TimerWheel::set(CoarseTimer& timer, Duration delay) {
  constexpr Duration kLongest = std::chrono::hours(24 * 365);
  const Duration due = loop_.timer_base() - start_ + std::clamp(delay, Duration::zero(), kLongest);
  timer.due_ = (due + kTick - Duration(1)) / kTick;
  if (timer.back_ != nullptr && timer.looked_at_ <= timer.due_) return;
  take(timer);
  put(timer);
}

void TimerWheel::put(CoarseTimer& timer) {
  const std::int64_t due = std::max(timer.due_, tick_ + 1);
  Ring& ring = due - tick_ < kSlots ? near_ : far_;
  const std::int64_t index = &ring == &near_ ? due : std::min(due / kSlots, tick_ / kSlots + kSlots - 1);
  timer.looked_at_ = &ring == &near_ ? due : index * kSlots;
  CoarseTimer*& list = ring.list(index);
  timer.next_ = list;
  timer.back_ = &list;
  if (list != nullptr) list->back_ = &timer.next_;
  list = &timer;
  ring.mark(index);
  next_tick_ = std::min(next_tick_, timer.looked_at_);
}

void TimerWheel::take(CoarseTimer& timer) {
  if (timer.back_ == nullptr) return;
  *timer.back_ = timer.next_;
  if (timer.next_ != nullptr) timer.next_->back_ = timer.back_;
  timer.back_ = nullptr;
}

/// Fires what is due in a list whose time has come, and puts the rest down again.
bool TimerWheel::empty_list(CoarseTimer*& list) {
  bool fired = false;
  while (list != nullptr) {
    CoarseTimer& timer = *list;
    take(timer);
    if (timer.due_ == CoarseTimer::kNever) continue;
    if (timer.due_ > tick_) {
      put(timer);
      continue;
    }
    timer.due_ = CoarseTimer::kNever;
    timer.on_timeout();
    fired = true;
  }
  return fired;
}

void TimerWheel::find_next() {
  const std::int64_t near = near_.first_after(tick_);
  const std::int64_t far = far_.first_after(tick_ / kSlots);
  next_tick_ = near < 0 ? CoarseTimer::kNever : near;
  if (far >= 0) next_tick_ = std::min(next_tick_, far * kSlots);
}

bool TimerWheel::advance(TimePoint now) {
  const std::int64_t target = (now - start_) / kTick;
  bool fired = false;
  while (next_tick_ <= target) {
    tick_ = next_tick_;
    if (tick_ % kSlots == 0) fired = empty_list(far_.list(tick_ / kSlots)) || fired;
    fired = empty_list(near_.list(tick_)) || fired;
    find_next();
  }
  tick_ = std::max(tick_, target);
  return fired;
}

}  // namespace flexpert::net
