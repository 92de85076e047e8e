#include "net/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "net/deadline_timer.h"
#include "net/unique_fd.h"

namespace flexpert::net {
namespace {

TEST(EventLoop, RunsTimersInTheOrderOfTheirTimes) {
  EventLoop loop;
  std::vector<int> order;
  loop.call_after(Milliseconds(3), [&] { order.push_back(3); loop.stop(); });
  loop.call_after(Milliseconds(1), [&] { order.push_back(1); });
  loop.call_after(Milliseconds(2), [&] { order.push_back(2); });
  loop.run();
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
}

TEST(EventLoop, TimerNeverFiresEarly) {
  EventLoop loop;
  const auto began = std::chrono::steady_clock::now();
  loop.call_after(Microseconds(1500), [&] { loop.stop(); });
  loop.run();
  EXPECT_GE(std::chrono::steady_clock::now() - began, Microseconds(1500));
}

TEST(EventLoop, CancelledTimerDoesNotFire) {
  EventLoop loop;
  bool fired = false;
  const TimerId id = loop.call_after(Milliseconds(1), [&] { fired = true; });
  EXPECT_NE(id, 0U);
  loop.cancel(id);
  loop.cancel(id);
  loop.cancel(0);
  loop.call_after(Milliseconds(3), [&] { loop.stop(); });
  loop.run();
  EXPECT_FALSE(fired);
}

TEST(EventLoop, ManyCancelledTimersLeaveTheRestIntact) {
  EventLoop loop;
  int fired = 0;
  for (int i = 0; i < 5000; ++i) loop.cancel(loop.call_after(Seconds(100), [&] { fired += 1000; }));
  for (int i = 0; i < 10; ++i) loop.call_after(Microseconds(10 * i), [&] { ++fired; });
  loop.call_after(Milliseconds(2), [&] { loop.stop(); });
  loop.run();
  EXPECT_EQ(fired, 10);
}

TEST(EventLoop, TimerSetByATimerWaitsForTheNextTurn) {
  EventLoop loop;
  int fired = 0;
  std::function<void()> again = [&] {
    ++fired;
    loop.call_after(Duration::zero(), [&] { again(); });
  };
  loop.call_after(Duration::zero(), [&] { again(); });
  loop.run_once(Milliseconds(100));
  EXPECT_GE(fired, 1);
  EXPECT_LE(fired, 2);  // once before and once after the wait, and then run_once() returned
}

TEST(EventLoop, TimerMayCancelAnotherThatIsDue) {
  EventLoop loop;
  bool fired = false;
  TimerId second = 0;
  loop.call_after(Duration::zero(), [&] { loop.cancel(second); });
  second = loop.call_after(Duration::zero(), [&] { fired = true; });
  loop.call_after(Milliseconds(2), [&] { loop.stop(); });
  loop.run();
  EXPECT_FALSE(fired);
}

TEST(EventLoop, RunsPostedTasksInOrderFromManyThreads) {
  EventLoop loop;
  constexpr int kThreads = 4;
  constexpr int kTasks = 500;
  std::vector<int> next(kThreads, 0);
  int total = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < kTasks; ++i) {
        loop.post([&, thread, i] {
          EXPECT_EQ(next[static_cast<std::size_t>(thread)]++, i);
          if (++total == kThreads * kTasks) loop.stop();
        });
      }
    });
  }
  loop.run();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(total, kThreads * kTasks);
}

TEST(EventLoop, TasksPostedBeforeStopAreRun) {
  EventLoop loop;
  bool ran = false;
  loop.post([&] {
    loop.stop();
    loop.post([&] { ran = true; });
  });
  loop.run();
  EXPECT_TRUE(ran);
}

TEST(EventLoop, StopFromAnotherThreadMayBeFollowedByDestruction) {
  for (int round = 0; round < 50; ++round) {
    auto loop = std::make_unique<EventLoop>();
    std::thread stopper([raw = loop.get()] { raw->stop(); });
    loop->run();
    loop.reset();
    stopper.join();
  }
}

TEST(EventLoop, KnowsItsThread) {
  EventLoop loop;
  EXPECT_TRUE(loop.on_loop_thread());
  bool inside = false;
  std::thread runner([&] { loop.run(); });
  loop.post([&] {
    inside = loop.on_loop_thread();
    loop.stop();
  });
  runner.join();
  EXPECT_TRUE(inside);
  EXPECT_FALSE(loop.on_loop_thread());
}

struct Unwatcher final : FdHandler {
  EventLoop& loop;
  int own;
  int other;
  int calls = 0;
  Unwatcher(EventLoop& l, int own_fd, int other_fd) : loop(l), own(own_fd), other(other_fd) {}
  void on_events(std::uint32_t) override {
    ++calls;
    loop.unwatch(own);
    loop.unwatch(other);
  }
};

TEST(EventLoop, EventsOfAnUnwatchedDescriptorAreNotDelivered) {
  EventLoop loop;
  const UniqueFd a(::eventfd(1, EFD_NONBLOCK));
  const UniqueFd b(::eventfd(1, EFD_NONBLOCK));
  Unwatcher first(loop, a.get(), b.get());
  Unwatcher second(loop, b.get(), a.get());
  loop.watch(a.get(), EPOLLIN, &first);
  loop.watch(b.get(), EPOLLIN, &second);
  loop.run_once(Milliseconds(100));
  loop.run_once(Duration::zero());
  EXPECT_EQ(first.calls + second.calls, 1);
}

TEST(DeadlineTimer, ExpiresAtTheLastDeadlineSet) {
  EventLoop loop;
  int expired = 0;
  DeadlineTimer timer(loop, [&] { ++expired; loop.stop(); });
  const auto began = std::chrono::steady_clock::now();
  timer.set(Milliseconds(1));
  timer.set(Milliseconds(5));
  loop.run();
  EXPECT_EQ(expired, 1);
  EXPECT_GE(std::chrono::steady_clock::now() - began, Milliseconds(4));
  timer.set(Seconds(100));
  timer.set(Milliseconds(1));
  loop.run();
  EXPECT_EQ(expired, 2);
}

TEST(DeadlineTimer, ClearedOneDoesNotExpireAndMayBeSetAgain) {
  EventLoop loop;
  int expired = 0;
  DeadlineTimer timer(loop, [&] { ++expired; });
  timer.set(Milliseconds(1));
  timer.clear();
  loop.call_after(Milliseconds(4), [&] { loop.stop(); });
  loop.run();
  EXPECT_EQ(expired, 0);
  timer.set(Milliseconds(1));
  loop.call_after(Milliseconds(6), [&] { loop.stop(); });
  loop.run();
  EXPECT_EQ(expired, 1);
}

}  // namespace
}  // namespace flexpert::net
