#pragma once

#include <future>
#include <thread>
#include <utility>

#include "net/event_loop.h"

namespace flexpert::app {

/// A thread that runs an event loop of its own for as long as this object lives. What belongs to the loop is made, used
/// and destroyed through call().
class LoopThread {
 public:
  LoopThread() : thread_([this] { loop_.run(); }) {}
  ~LoopThread() {
    loop_.stop();
    thread_.join();
  }
  LoopThread(const LoopThread&) = delete;
  LoopThread& operator=(const LoopThread&) = delete;

  [[nodiscard]] net::EventLoop& loop() { return loop_; }
  /// Runs `function` on the loop's thread and waits for what it returns. Not from that thread itself.
  template <class Function>
  auto call(Function function) {
    std::packaged_task<decltype(function())()> task(std::move(function));
    auto result = task.get_future();
    // The task goes with the message: the promise must outlive the waking of whoever waits.
    loop_.post([task = std::move(task)]() mutable { task(); });
    return result.get();
  }

 private:
  net::EventLoop loop_;
  std::thread thread_;
};

}  // namespace flexpert::app
