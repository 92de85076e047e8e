#include "net/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <optional>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/check.h"
#include "base/mutex.h"
#include "net/timer_wheel.h"
#include "net/unique_fd.h"

namespace flexpert::net {
namespace {

constexpr Duration kForever = Duration::max();
constexpr int kEventsPerTurn = 128;
/// What they left to be sent waits for so many at most: with long prompts among them, more would be milliseconds.
constexpr int kEventsTogether = 32;

struct HeapEntry {
  TimePoint due;
  TimerId id = 0;
  /// Orders a heap with the earliest timer first; equal times fire in the order of call_after().
  bool operator<(const HeapEntry& other) const { return due != other.due ? due > other.due : id > other.id; }
};

/// Waits with nanosecond precision where the kernel has epoll_pwait2 (5.11), else in milliseconds rounded up.
int wait_for_events(int epoll, epoll_event* events, int capacity, Duration longest) {
  if (longest == kForever) return ::epoll_wait(epoll, events, capacity, -1);
  if (longest <= Duration::zero()) return ::epoll_wait(epoll, events, capacity, 0);
  const auto whole_seconds = std::chrono::duration_cast<Seconds>(longest);
  const timespec timeout{.tv_sec = whole_seconds.count(), .tv_nsec = (longest - whole_seconds).count()};
  const int count = ::epoll_pwait2(epoll, events, capacity, &timeout, nullptr);
  if (count >= 0 || errno != ENOSYS) return count;
  const auto milliseconds = std::chrono::ceil<Milliseconds>(longest).count();
  return ::epoll_wait(epoll, events, capacity, static_cast<int>(std::min<std::int64_t>(milliseconds, 1000 * 1000)));
}

}  // namespace

struct EventLoop::Impl {
  struct Buried {
    void* object = nullptr;
    void (*destroy)(void*) = nullptr;
  };

  /// Work whose turn it is; of several, when a handler runs the loop itself.
  struct Running {
    std::vector<AfterEvents*> work;
    Running* outer = nullptr;
  };

  explicit Impl(EventLoop& loop) : turn_began(loop.turn_began_), depth(loop.depth_), wheel(loop, loop.turn_began_) {}
  ~Impl() {
    for (const Buried& dead : std::exchange(buried, {})) dead.destroy(dead.object);
  }

  struct Watched {
    FdHandler* handler = nullptr;
    std::uint32_t generation = 0;  ///< tells a descriptor from an earlier one of the same number
  };

  TimePoint& turn_began;
  int& depth;
  UniqueFd epoll;
  UniqueFd wakeup;
  std::atomic<bool> stop_asked = false;
  std::atomic<std::thread::id> thread = std::this_thread::get_id();

  Mutex mutex;
  std::vector<Task> mailbox GUARDED_BY(mutex);
  std::atomic<bool> has_mail = false;  ///< set under the mutex; spares the loop taking it in vain

  TimerWheel wheel;
  std::vector<AfterEvents*> after;
  std::vector<AfterEvents*> spare;  ///< memory for the next
  Running* running = nullptr;
  std::vector<Buried> buried;
  std::vector<HeapEntry> heap;
  std::unordered_map<TimerId, Task> timers;
  TimerId next_timer = 1;
  std::vector<Watched> watched;

  [[nodiscard]] FdHandler* handler_of(std::uint64_t token) const {
    const auto fd = static_cast<std::uint32_t>(token);
    const auto generation = static_cast<std::uint32_t>(token >> 32);
    if (fd >= watched.size() || watched[fd].generation != generation) return nullptr;
    return watched[fd].handler;
  }
  [[nodiscard]] std::uint64_t token_of(int fd) const {
    return (static_cast<std::uint64_t>(watched[static_cast<std::size_t>(fd)].generation) << 32) | static_cast<std::uint32_t>(fd);
  }

  void wake() const {
    const std::uint64_t one = 1;
    const auto written = ::write(wakeup.get(), &one, sizeof one);
    FLEXPERT_CHECK(written == sizeof one || errno == EAGAIN, "cannot wake an event loop");
  }

  /// Does what waited for the end of the events, and destroys what was buried in them. What is asked for meanwhile waits for the next.
  bool settle() {
    if (after.empty() && buried.empty()) return false;
    Running now{.work = std::move(spare), .outer = running};
    running = &now;
    now.work.swap(after);
    for (std::size_t i = 0; i < now.work.size(); ++i) {
      AfterEvents* const work = std::exchange(now.work[i], nullptr);
      if (work == nullptr) continue;
      work->queued_ = false;
      work->after_events();
    }
    running = now.outer;
    now.work.clear();
    spare = std::move(now.work);
    if (depth == 1 && !buried.empty())
      for (const Buried& dead : std::exchange(buried, {})) dead.destroy(dead.object);
    return true;
  }

  void forget(AfterEvents* work) {
    std::replace(after.begin(), after.end(), work, static_cast<AfterEvents*>(nullptr));
    for (Running* list = running; list != nullptr; list = list->outer) std::replace(list->work.begin(), list->work.end(), work, static_cast<AfterEvents*>(nullptr));
  }

  bool run_mailbox() {
    if (!has_mail.load(std::memory_order_acquire)) return false;
    std::vector<Task> tasks;
    {
      const MutexLock lock(mutex);
      tasks.swap(mailbox);
      has_mail.store(false, std::memory_order_relaxed);
    }
    for (Task& task : tasks) {
      task();
      task = nullptr;
      settle();
    }
    return !tasks.empty();
  }

  /// Forgets cancelled timers at the top of the heap.
  void drop_cancelled() {
    while (!heap.empty() && !timers.contains(heap.front().id)) {
      std::pop_heap(heap.begin(), heap.end());
      heap.pop_back();
    }
  }

  bool run_timers() {
    bool ran = wheel.next() <= turn_began && wheel.advance(turn_began);
    if (ran) settle();
    if (heap.empty() || heap.front().due > turn_began) return ran;
    const TimerId first_new = next_timer;  // a timer set from here on waits for the next turn
    std::vector<HeapEntry> kept;
    for (drop_cancelled(); !heap.empty() && heap.front().due <= turn_began; drop_cancelled()) {
      const HeapEntry entry = heap.front();
      std::pop_heap(heap.begin(), heap.end());
      heap.pop_back();
      if (entry.id >= first_new) {
        kept.push_back(entry);
        continue;
      }
      const auto found = timers.find(entry.id);
      Task task = std::move(found->second);
      timers.erase(found);
      task();
      settle();
      ran = true;
    }
    for (const HeapEntry& entry : kept) push(entry);
    return ran;
  }

  void push(const HeapEntry& entry) {
    heap.push_back(entry);
    std::push_heap(heap.begin(), heap.end());
  }

  [[nodiscard]] Duration until_next_timer() {
    constexpr Duration kSoon = Milliseconds(50);  // later ones may wait as much longer as this turn has taken
    drop_cancelled();
    const TimePoint next = heap.empty() ? wheel.next() : std::min(heap.front().due, wheel.next());
    if (next == TimePoint::max()) return kForever;
    const Duration left = next - turn_began;
    return left > kSoon ? left : std::max(Duration::zero(), Duration(next - std::chrono::steady_clock::now()));
  }

  bool dispatch(Duration longest) {
    std::array<epoll_event, kEventsPerTurn> events;
    const int count = wait_for_events(epoll.get(), events.data(), kEventsPerTurn, longest);
    FLEXPERT_CHECK(count >= 0 || errno == EINTR, "epoll wait failed");
    turn_began = std::chrono::steady_clock::now();
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      const std::uint64_t token = event.data.u64;
      if (static_cast<std::uint32_t>(token) == static_cast<std::uint32_t>(wakeup.get())) {
        std::uint64_t wakeups = 0;
        [[maybe_unused]] const auto ignored = ::read(wakeup.get(), &wakeups, sizeof wakeups);
        continue;
      }
      if (FdHandler* handler = handler_of(token)) handler->on_events(event.events);
      if ((i + 1) % kEventsTogether == 0) settle();
    }
    settle();
    return count > 0;
  }

  void turn(Duration longest_wait) {
    ++depth;
    const bool settled = settle();
    const bool ran_timers = run_timers();
    const bool ran_tasks = run_mailbox();
    if (settled || ran_timers || ran_tasks || !after.empty() || stop_asked.load(std::memory_order_acquire)) longest_wait = Duration::zero();
    dispatch(std::min(longest_wait, until_next_timer()));
    run_timers();
    run_mailbox();
    --depth;
  }

  void enter() {
    thread.store(std::this_thread::get_id(), std::memory_order_relaxed);
    turn_began = std::chrono::steady_clock::now();
  }
};

EventLoop::EventLoop() : impl_(std::make_unique<Impl>(*this)) {
  impl_->epoll.reset(::epoll_create1(EPOLL_CLOEXEC));
  impl_->wakeup.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  FLEXPERT_CHECK(impl_->epoll && impl_->wakeup, "cannot make an event loop: out of file descriptors");
  epoll_event event{.events = EPOLLIN, .data = {.u64 = static_cast<std::uint64_t>(impl_->wakeup.get())}};
  FLEXPERT_CHECK(::epoll_ctl(impl_->epoll.get(), EPOLL_CTL_ADD, impl_->wakeup.get(), &event) == 0, "cannot watch the mailbox");
}

EventLoop::~EventLoop() = default;

void EventLoop::run() {
  impl_->enter();
  while (!impl_->stop_asked.load(std::memory_order_acquire)) impl_->turn(kForever);
  { const MutexLock last_caller_is_done(impl_->mutex); }
  ++impl_->depth;
  impl_->run_mailbox();
  --impl_->depth;
  impl_->stop_asked.store(false);
}

void EventLoop::run_once(Duration longest_wait) {
  impl_->enter();
  impl_->turn(longest_wait);
}

// stop() and post() write to the wakeup descriptor under the mutex: run() takes it once more before it returns, so an
// owner that destroys the loop right after run() cannot pull it from under the caller.
void EventLoop::stop() {
  const MutexLock lock(impl_->mutex);
  impl_->stop_asked.store(true);
  impl_->wake();
}

void EventLoop::post(Task task) {
  const MutexLock lock(impl_->mutex);
  impl_->mailbox.push_back(std::move(task));
  impl_->has_mail.store(true, std::memory_order_release);
  if (impl_->mailbox.size() == 1) impl_->wake();
}

TimerId EventLoop::call_after(Duration delay, Task task) {
  const TimePoint now = std::chrono::steady_clock::now();
  const Duration longest = TimePoint::max() - now;
  const TimerId id = impl_->next_timer++;
  impl_->timers.emplace(id, std::move(task));
  impl_->push({.due = now + std::clamp(delay, Duration::zero(), longest), .id = id});
  return id;
}

void EventLoop::cancel(TimerId timer) {
  if (timer == 0 || impl_->timers.erase(timer) == 0) return;
  // Most timers are timeouts that never fire: do not let the forgotten ones pile up in the heap.
  if (impl_->heap.size() < 64 || impl_->heap.size() < 2 * impl_->timers.size()) return;
  std::erase_if(impl_->heap, [this](const HeapEntry& entry) { return !impl_->timers.contains(entry.id); });
  std::make_heap(impl_->heap.begin(), impl_->heap.end());
}

void EventLoop::watch(int fd, std::uint32_t events, FdHandler* handler) {
  FLEXPERT_CHECK(fd >= 0, "watch() needs an open descriptor");
  const auto index = static_cast<std::size_t>(fd);
  if (impl_->watched.size() <= index) impl_->watched.resize(std::max(index + 1, 2 * impl_->watched.size()));
  FLEXPERT_CHECK(impl_->watched[index].handler == nullptr, "the descriptor is already watched");
  impl_->watched[index].handler = handler;
  ++impl_->watched[index].generation;
  epoll_event event{.events = events, .data = {.u64 = impl_->token_of(fd)}};
  FLEXPERT_CHECK(::epoll_ctl(impl_->epoll.get(), EPOLL_CTL_ADD, fd, &event) == 0, std::strerror(errno));
}

void EventLoop::modify(int fd, std::uint32_t events) {
  epoll_event event{.events = events, .data = {.u64 = impl_->token_of(fd)}};
  FLEXPERT_CHECK(::epoll_ctl(impl_->epoll.get(), EPOLL_CTL_MOD, fd, &event) == 0, std::strerror(errno));
}

void EventLoop::unwatch(int fd) {
  const auto index = static_cast<std::size_t>(fd);
  if (fd < 0 || index >= impl_->watched.size() || impl_->watched[index].handler == nullptr) return;
  impl_->watched[index].handler = nullptr;
  ++impl_->watched[index].generation;
  ::epoll_ctl(impl_->epoll.get(), EPOLL_CTL_DEL, fd, nullptr);
}

void EventLoop::after_events(AfterEvents& work) {
  if (std::exchange(work.queued_, true)) return;
  impl_->after.push_back(&work);
}

void EventLoop::forget(AfterEvents& work) {
  if (std::exchange(work.queued_, false)) impl_->forget(&work);
}

void EventLoop::bury_later(void* object, void (*destroy)(void*)) {
  if (impl_->depth > 0) impl_->buried.push_back({object, destroy});
  else destroy(object);
}

TimerWheel& EventLoop::wheel() { return impl_->wheel; }

bool EventLoop::on_loop_thread() const { return impl_->thread.load(std::memory_order_relaxed) == std::this_thread::get_id(); }

}  // namespace flexpert::net
