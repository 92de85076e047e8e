#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/result.h"

namespace flexpert::engine {

/// A set of threads that run one loop together. Results never depend on their number: a chunk's outputs are
/// computed by one thread in one order. One caller at a time.
class ComputePool {
 public:
  /// `threads` counts the caller: 1 means no thread is started.
  explicit ComputePool(std::uint32_t threads);
  ~ComputePool();
  [[nodiscard]] std::uint32_t threads() const;
  /// Changes how many threads there are, the caller counted; not while a loop runs, and by the thread that runs loops. Errors:
  /// kResourceExhausted where the system gives no more; then there are as many as it gave.
  Result<void> resize(std::uint32_t threads);
  /// Runs body(begin, end) over disjoint ranges that cover [0, count), of at least `grain` each where possible; returns when all are done.
  void parallel_for(std::uint32_t count, std::uint32_t grain, const std::function<void(std::uint32_t, std::uint32_t)>& body);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace flexpert::engine
