#pragma once

#include <chrono>
#include <cstdint>

namespace flexpert {

using Duration = std::chrono::nanoseconds;
/// A monotonic instant. Pure modules receive it as an argument and never ask for it.
using TimePoint = std::chrono::steady_clock::time_point;
using Milliseconds = std::chrono::milliseconds;
using Microseconds = std::chrono::microseconds;
using Seconds = std::chrono::seconds;

/// Returns `duration` in milliseconds with its fraction.
constexpr double to_ms(Duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); }
constexpr double to_seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }
/// Returns the duration of `seconds`, rounded to nanoseconds.
constexpr Duration from_seconds(double seconds) { return Duration(static_cast<std::int64_t>(seconds * 1e9)); }

/// The port through which the impure parts tell the time. Implementations are safe to call from any thread.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual TimePoint now() const = 0;
  /// Returns milliseconds since the Unix epoch, for journals and people.
  [[nodiscard]] virtual std::int64_t unix_ms() const = 0;
};

/// The machine's clocks.
class SystemClock final : public Clock {
 public:
  [[nodiscard]] TimePoint now() const override;
  [[nodiscard]] std::int64_t unix_ms() const override;
};

/// A clock that stands still until it is told to move. Not thread-safe.
class FakeClock final : public Clock {
 public:
  [[nodiscard]] TimePoint now() const override { return now_; }
  [[nodiscard]] std::int64_t unix_ms() const override {
    return std::chrono::duration_cast<Milliseconds>(now_.time_since_epoch()).count();
  }
  void advance(Duration by) { now_ += by; }

 private:
  TimePoint now_{std::chrono::hours(1)};
};

}  // namespace flexpert
