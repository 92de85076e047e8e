#include "engine/kernels/compute_pool.h"

#include <algorithm>
#include <atomic>
#include <system_error>
#include <thread>
#include <vector>

#include "base/mutex.h"

namespace flexpert::engine {

struct ComputePool::Impl {
  using Body = std::function<void(std::uint32_t, std::uint32_t)>;

  Mutex mutex;
  Condition wake;
  Condition done;
  std::uint64_t loop GUARDED_BY(mutex) = 0;
  std::uint32_t busy GUARDED_BY(mutex) = 0;
  std::uint32_t kept GUARDED_BY(mutex) = 0;  // workers of this number and above go
  // The loop at hand: written by the caller before `loop` goes up, constant while workers are busy.
  const Body* body GUARDED_BY(mutex) = nullptr;
  std::uint32_t count GUARDED_BY(mutex) = 0;
  std::uint32_t chunk GUARDED_BY(mutex) = 0;
  std::atomic<std::uint32_t> next{0};
  std::vector<std::thread> workers;

  static void run_chunks(std::atomic<std::uint32_t>& next, const Body& body, std::uint32_t count, std::uint32_t chunk) {
    const std::uint32_t chunks = (count + chunk - 1) / chunk;
    for (std::uint32_t i = next.fetch_add(1, std::memory_order_relaxed); i < chunks; i = next.fetch_add(1, std::memory_order_relaxed))
      body(i * chunk, std::min(count, (i + 1) * chunk));
  }

  void work(std::uint32_t number) {
    std::uint64_t seen = 0;
    for (;;) {
      const Body* own_body = nullptr;
      std::uint32_t own_count = 0;
      std::uint32_t own_chunk = 0;
      {
        MutexLock lock(mutex);
        while (loop == seen && number < kept) wake.wait(mutex);
        if (number >= kept) return;
        seen = loop;
        // A worker that wakes after the loop has ended finds no body.
        if (body == nullptr) continue;
        own_body = body;
        own_count = count;
        own_chunk = chunk;
        ++busy;
      }
      run_chunks(next, *own_body, own_count, own_chunk);
      MutexLock lock(mutex);
      if (--busy == 0) done.notify_one();
    }
  }

  /// Brings the workers to that number. No loop runs.
  void resize(std::uint32_t count_wanted) {
    {
      MutexLock lock(mutex);
      kept = count_wanted;
    }
    wake.notify_all();
    while (workers.size() > count_wanted) {
      workers.back().join();
      workers.pop_back();
    }
    while (workers.size() < count_wanted) workers.emplace_back([this, number = static_cast<std::uint32_t>(workers.size())] { work(number); });
  }
};

ComputePool::ComputePool(std::uint32_t threads) : impl_(std::make_unique<Impl>()) { impl_->resize(threads == 0 ? 0 : threads - 1); }

ComputePool::~ComputePool() { impl_->resize(0); }

Result<void> ComputePool::resize(std::uint32_t threads) {
  if (threads == 0) return fail(ErrorCode::kInvalidArgument, "threads must be at least 1");
  try {
    impl_->resize(threads - 1);
  } catch (const std::system_error& error) {
    return fail(ErrorCode::kResourceExhausted, "no more compute threads than {}: {}", this->threads(), error.what());
  }
  return {};
}

std::uint32_t ComputePool::threads() const { return static_cast<std::uint32_t>(impl_->workers.size()) + 1; }

void ComputePool::parallel_for(std::uint32_t count, std::uint32_t grain, const std::function<void(std::uint32_t, std::uint32_t)>& body) {
  if (count == 0) return;
  const std::uint32_t least = std::max(grain, 1U);
  // Up to three chunks a thread: enough to even out threads that the machine slows down.
  const std::uint32_t wanted = (count + 3 * threads() - 1) / (3 * threads());
  const std::uint32_t chunk = std::max(least, wanted);
  if (impl_->workers.empty() || chunk >= count) {
    body(0, count);
    return;
  }
  {
    MutexLock lock(impl_->mutex);
    impl_->body = &body;
    impl_->count = count;
    impl_->chunk = chunk;
    impl_->next.store(0, std::memory_order_relaxed);
    ++impl_->loop;
  }
  impl_->wake.notify_all();
  Impl::run_chunks(impl_->next, body, count, chunk);
  MutexLock lock(impl_->mutex);
  impl_->body = nullptr;
  while (impl_->busy != 0) impl_->done.wait(impl_->mutex);
}

}  // namespace flexpert::engine
