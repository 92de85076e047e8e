#pragma once

#include <array>
#include <cstdint>

#include "base/clock.h"

namespace flexpert::net {

class EventLoop;
class TimerWheel;

/// A timeout of the loop that is moved far more often than it fires: moving it later, and clearing it, are one store. It fires up to
/// two milliseconds late, never early. Belongs to the loop's thread; destroying it disarms it.
class CoarseTimer {
 public:
  explicit CoarseTimer(EventLoop& loop);
  virtual ~CoarseTimer();
  CoarseTimer(const CoarseTimer&) = delete;
  CoarseTimer& operator=(const CoarseTimer&) = delete;

  /// Fires `delay` after the beginning of this turn of the loop, instead of whenever it would have.
  void set(Duration delay);
  void clear() { due_ = kNever; }
  [[nodiscard]] bool armed() const { return due_ != kNever; }

 protected:
  /// May set, clear and destroy this timer and any other.
  virtual void on_timeout() = 0;

 private:
  friend class TimerWheel;
  static constexpr std::int64_t kNever = INT64_MAX;

  TimerWheel& wheel_;
  CoarseTimer* next_ = nullptr;
  CoarseTimer** back_ = nullptr;   ///< what points at this; null: in no list
  std::int64_t due_ = kNever;      ///< the tick at which it fires
  std::int64_t looked_at_ = 0;     ///< the tick at which its list is looked at, never after due_
};

/// The coarse timers of one loop, in two rings of lists: the next 256 milliseconds one by one, then 255 times 256 milliseconds.
/// What is due later waits in the last list and is put down again from there.
class TimerWheel {
 public:
  explicit TimerWheel(const EventLoop& loop, TimePoint start) : loop_(loop), start_(start) {}

  /// Returns when something has to be looked at; TimePoint::max() if never.
  [[nodiscard]] TimePoint next() const { return next_tick_ == CoarseTimer::kNever ? TimePoint::max() : start_ + next_tick_ * kTick; }
  /// Fires what is due. Returns whether anything was.
  bool advance(TimePoint now);

 private:
  friend class CoarseTimer;
  static constexpr Duration kTick = Milliseconds(1);
  static constexpr std::int64_t kSlots = 256;

  struct Ring {
    std::array<CoarseTimer*, kSlots> lists{};
    std::array<std::uint64_t, kSlots / 64> used{};  ///< a bit for each list that may have timers

    CoarseTimer*& list(std::int64_t index) { return lists[static_cast<std::size_t>(index % kSlots)]; }
    void mark(std::int64_t index);
    /// Returns the first of the `kSlots - 1` indices behind `index` that has timers, or -1.
    std::int64_t first_after(std::int64_t index);
  };

  void set(CoarseTimer& timer, Duration delay);
  void put(CoarseTimer& timer);
  static void take(CoarseTimer& timer);
  bool empty_list(CoarseTimer*& list);
  void find_next();

  const EventLoop& loop_;
  const TimePoint start_;
  std::int64_t tick_ = 0;  ///< everything up to here has been looked at
  std::int64_t next_tick_ = CoarseTimer::kNever;
  Ring near_;
  Ring far_;
};

}  // namespace flexpert::net
