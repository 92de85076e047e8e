#include "rig/process_cost.h"

#include <linux/perf_event.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace flexpert::bench {
namespace {

int open_counter(pid_t task, std::uint32_t type, std::uint64_t what, bool user_only) {
  perf_event_attr attributes;
  std::memset(&attributes, 0, sizeof attributes);
  attributes.size = sizeof attributes;
  attributes.type = type;
  attributes.config = what;
  attributes.exclude_kernel = user_only ? 1 : 0;
  attributes.exclude_hv = 1;
  attributes.inherit = 1;
  return static_cast<int>(::syscall(SYS_perf_event_open, &attributes, task, -1, -1, PERF_FLAG_FD_CLOEXEC));
}

std::uint64_t sum(const std::vector<int>& counters) {
  std::uint64_t total = 0;
  for (const int counter : counters) {
    std::uint64_t value = 0;
    if (::read(counter, &value, sizeof value) == static_cast<ssize_t>(sizeof value)) total += value;
  }
  return total;
}

/// utime and stime of /proc/PID/stat, in seconds.
double stat_seconds(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string text;
  std::getline(file, text);
  std::istringstream fields(text.substr(text.rfind(')') + 1));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user = 0;
  double system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

}  // namespace

Cost operator-(const Cost& later, const Cost& earlier) {
  return {later.cpu_s - earlier.cpu_s, later.user_instructions - earlier.user_instructions, later.instructions - earlier.instructions,
          later.user_cycles - earlier.user_cycles, later.cycles - earlier.cycles};
}

Result<ProcessWatch> ProcessWatch::attach(pid_t pid) {
  ProcessWatch watch(pid);
  std::error_code error;
  std::vector<pid_t> tasks;
  for (const auto& entry : std::filesystem::directory_iterator(fmt::format("/proc/{}/task", pid), error))
    tasks.push_back(std::stoi(entry.path().filename().string()));
  if (error || tasks.empty()) return fail(ErrorCode::kNotFound, "no process to watch: {}", pid);
  const auto open_all = [&](std::vector<int>& counters, std::uint32_t type, std::uint64_t what, bool user_only) {
    for (const pid_t task : tasks) {
      const int counter = open_counter(task, type, what, user_only);
      if (counter >= 0) counters.push_back(counter);
    }
    if (counters.size() == tasks.size()) return;
    for (const int counter : counters) ::close(counter);
    counters.clear();
  };
  open_all(watch.clock_, PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK, false);
  open_all(watch.user_, PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS, true);
  open_all(watch.all_, PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS, false);
  open_all(watch.user_cycles_, PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES, true);
  open_all(watch.all_cycles_, PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES, false);
  return watch;
}

ProcessWatch::ProcessWatch(ProcessWatch&& other) noexcept
    : pid_(other.pid_) {
  clock_.swap(other.clock_);
  user_.swap(other.user_);
  all_.swap(other.all_);
  user_cycles_.swap(other.user_cycles_);
  all_cycles_.swap(other.all_cycles_);
}

ProcessWatch::~ProcessWatch() {
  for (const auto* counters : {&clock_, &user_, &all_, &user_cycles_, &all_cycles_})
    for (const int counter : *counters) ::close(counter);
}

Cost ProcessWatch::read() const {
  return {clock_.empty() ? stat_seconds(pid_) : static_cast<double>(sum(clock_)) / 1e9, sum(user_), sum(all_),
          sum(user_cycles_), sum(all_cycles_)};
}

std::uint64_t ProcessWatch::resident_bytes() const {
  std::ifstream file(fmt::format("/proc/{}/statm", pid_));
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  file >> total >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

void pin_to_core(int core) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(core, &cores);
  ::sched_setaffinity(0, sizeof cores, &cores);
}

}  // namespace flexpert::bench
