#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "base/result.h"

namespace flexpert::bench {

/// What a process has used since it is watched.
struct Cost {
  double cpu_s = 0;                    ///< user and system time of all its threads
  std::uint64_t user_instructions = 0; ///< 0 where the machine does not let them be counted
  std::uint64_t instructions = 0;      ///< with the kernel's
  std::uint64_t user_cycles = 0;
  std::uint64_t cycles = 0;            ///< with the kernel's
};
Cost operator-(const Cost& later, const Cost& earlier);

/// Watches a running process: CPU time by the kernel's task clock (perf events; where they are not allowed /proc/PID/stat, in steps
/// of 10 ms) and instructions. Threads that it has at that time; so watch it when it has started.
class ProcessWatch {
 public:
  static Result<ProcessWatch> attach(pid_t pid);
  ~ProcessWatch();
  ProcessWatch(ProcessWatch&& other) noexcept;
  ProcessWatch& operator=(ProcessWatch&&) = delete;

  [[nodiscard]] Cost read() const;
  /// Resident memory now, bytes.
  [[nodiscard]] std::uint64_t resident_bytes() const;
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] bool counts_instructions() const { return !user_.empty(); }

 private:
  explicit ProcessWatch(pid_t pid) : pid_(pid) {}
  pid_t pid_;
  std::vector<int> clock_;
  std::vector<int> user_;
  std::vector<int> all_;
  std::vector<int> user_cycles_;
  std::vector<int> all_cycles_;
};

/// Keeps the calling thread, and what it starts from now on, on one core.
void pin_to_core(int core);

}  // namespace flexpert::bench
