#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "codec/expert_protocol.h"
#include "net/event_loop.h"

namespace flexpert::engine {

/// Makes a server look like an accelerator of a stated speed: answers that are ready are held back until that accelerator
/// would have had them, max(arrival, end of the batch before) + rows / pace. Belongs to the loop's thread.
class HeldAnswers {
 public:
  struct Answer {
    TimePoint due;
    std::uint64_t connection = 0;
    std::uint64_t correlation = 0;
    expert_protocol::Bytes frame;
  };

  /// `rows_per_s` 0 = raw speed: nothing is to be held. `release` is called from the loop with answers that are due.
  HeldAnswers(net::EventLoop& loop, const Clock& clock, double rows_per_s, std::function<void(Answer&)> release)
      : loop_(loop), clock_(clock), rows_per_s_(rows_per_s), release_(std::move(release)) {}
  ~HeldAnswers() { loop_.cancel(timer_); }
  HeldAnswers(const HeldAnswers&) = delete;
  HeldAnswers& operator=(const HeldAnswers&) = delete;

  [[nodiscard]] bool paced() const { return rows_per_s_ > 0; }
  /// Returns the time that `rows` take at the stated speed.
  [[nodiscard]] Duration time_for(std::uint32_t rows) const { return paced() ? from_seconds(rows / rows_per_s_) : Duration::zero(); }
  /// Returns how many rows the accelerator still has in front of it.
  [[nodiscard]] std::uint64_t queue_rows(TimePoint now) const;
  /// Returns an empty buffer, with memory if one was given back.
  expert_protocol::Bytes buffer();
  void hold(std::uint64_t connection, std::uint64_t correlation, TimePoint arrived, std::uint32_t rows, expert_protocol::Bytes frame);
  /// Forgets an answer; returns its size, or nothing when it is not (or no longer) held.
  std::optional<std::size_t> cancel(std::uint64_t connection, std::uint64_t correlation);
  void clear() { held_.clear(); }
  [[nodiscard]] bool empty() const { return held_.empty(); }

 private:
  void release_due();
  void arm();

  net::EventLoop& loop_;
  const Clock& clock_;
  double rows_per_s_;
  std::function<void(Answer&)> release_;
  std::deque<Answer> held_;  ///< due times never go down from front to back
  std::vector<expert_protocol::Bytes> spare_;
  TimePoint busy_until_{};
  net::TimerId timer_ = 0;
};

}  // namespace flexpert::engine
