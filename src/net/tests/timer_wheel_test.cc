#include "net/timer_wheel.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <vector>

#include "base/rng.h"
#include "net/event_loop.h"

namespace flexpert::net {
namespace {

class Probe final : public CoarseTimer {
 public:
  explicit Probe(EventLoop& loop, std::function<void()> act = {}) : CoarseTimer(loop), act_(std::move(act)) {}
  int fired = 0;

 private:
  void on_timeout() override {
    ++fired;
    if (act_) act_();
  }
  std::function<void()> act_;
};

TEST(CoarseTimer, FiresOnceAndNeverEarly) {
  EventLoop loop;
  Probe timer(loop, [&] { loop.stop(); });
  const auto began = std::chrono::steady_clock::now();
  timer.set(Milliseconds(5));
  EXPECT_TRUE(timer.armed());
  loop.run();
  EXPECT_GE(std::chrono::steady_clock::now() - began, Milliseconds(5));
  EXPECT_FALSE(timer.armed());
  loop.run_once(Milliseconds(3));
  EXPECT_EQ(timer.fired, 1);
}

TEST(CoarseTimer, MayBeMovedBothWaysAndCleared) {
  EventLoop loop;
  Probe later(loop);
  Probe sooner(loop, [&] { loop.stop(); });
  Probe never(loop);
  later.set(Milliseconds(2));
  later.set(Seconds(1000));
  sooner.set(Seconds(1000));
  sooner.set(Milliseconds(6));
  never.set(Milliseconds(1));
  never.clear();
  loop.run();
  EXPECT_EQ(later.fired + never.fired, 0);
  EXPECT_EQ(sooner.fired, 1);
}

TEST(CoarseTimer, MayDestroyItselfAndOthersAndSetItselfAgain) {
  EventLoop loop;
  std::unique_ptr<Probe> other = std::make_unique<Probe>(loop);
  std::unique_ptr<Probe> self;
  self = std::make_unique<Probe>(loop, [&] {
    other.reset();
    self.reset();
  });
  Probe* again_raw = nullptr;
  Probe again(loop, [&] {
    if (again_raw->fired == 3) return loop.stop();
    again_raw->set(Milliseconds(1));
  });
  again_raw = &again;
  other->set(Milliseconds(1));
  self->set(Milliseconds(1));
  again.set(Milliseconds(2));
  loop.run();
  EXPECT_EQ(self, nullptr);
  EXPECT_EQ(again.fired, 3);
}

/// Plays a wheel's time by hand.
TEST(TimerWheel, FiresEveryTimerInItsMillisecondHoweverFarItIs) {
  EventLoop loop;
  TimerWheel& wheel = loop.wheel();
  const TimePoint start = std::chrono::steady_clock::now();
  Rng rng(3);
  std::vector<std::unique_ptr<Probe>> timers;
  std::vector<TimePoint> due;
  TimePoint played = start;
  for (int i = 0; i < 2000; ++i) {
    const Duration delay = Microseconds(rng.below(i % 2 == 0 ? 300'000 : 200'000'000));
    timers.push_back(std::make_unique<Probe>(loop, [&, i] {
      EXPECT_GE(played, due[static_cast<std::size_t>(i)]);
      EXPECT_LE(played - due[static_cast<std::size_t>(i)], Milliseconds(40)) << "the clock went on while they were set";
    }));
    due.push_back(std::chrono::steady_clock::now() + delay);
    timers.back()->set(delay);
  }
  int looks = 0;
  while (wheel.next() != TimePoint::max()) {
    played = std::max(played, wheel.next());
    wheel.advance(played);
    ++looks;
  }
  for (const auto& timer : timers) EXPECT_EQ(timer->fired, 1);
  EXPECT_LT(looks, 3000);
}

class Counter final : public AfterEvents {
 public:
  explicit Counter(std::function<void()> act) : act_(std::move(act)) {}
  int ran = 0;

 private:
  void after_events() override {
    ++ran;
    act_();
  }
  std::function<void()> act_;
};

TEST(EventLoop, RunsWorkOnceAfterTheEventThatAskedForIt) {
  EventLoop loop;
  std::string order;
  Counter work([&] { order += "work "; });
  Counter forgotten([] {});
  loop.call_after(Duration::zero(), [&] {
    loop.after_events(work);
    loop.after_events(work);
    loop.after_events(forgotten);
    loop.forget(forgotten);
    order += "timer ";
  });
  loop.call_after(Milliseconds(1), [&] {
    order += "next ";
    loop.stop();
  });
  loop.run();
  EXPECT_EQ(order, "timer work next ");
  EXPECT_EQ(forgotten.ran, 0);
  loop.after_events(work);
  loop.run_once(Seconds(10));
  EXPECT_EQ(work.ran, 2) << "asked for outside of a turn, and the loop does not wait first";
}

TEST(EventLoop, WorkThatAsksForMoreOfItselfLetsTheOthersRun) {
  EventLoop loop;
  Counter* raw = nullptr;
  Counter greedy([&] { loop.after_events(*raw); });
  raw = &greedy;
  loop.call_after(Milliseconds(2), [&] { loop.stop(); });
  loop.after_events(greedy);
  loop.run();
  EXPECT_GT(greedy.ran, 1);
  loop.forget(greedy);
}

TEST(EventLoop, BuriesWhatIsInUse) {
  EventLoop loop;
  bool destroyed = false;
  auto object = std::shared_ptr<int>(new int(1), [&](const int* dead) {
    destroyed = true;
    delete dead;
  });
  auto holder = std::make_unique<std::shared_ptr<int>>(std::move(object));
  loop.call_after(Duration::zero(), [&] {
    loop.bury(std::move(holder));
    EXPECT_FALSE(destroyed);
  });
  loop.run_once(Seconds(1));
  EXPECT_TRUE(destroyed);
}

}  // namespace
}  // namespace flexpert::net
