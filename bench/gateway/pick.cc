// Bar 4 of the gateway: what it costs to pick an instance out of 256, each pick with the load that it takes and the load of an
// earlier one that it gives back, and what it costs to ask whether a caller may use a model. CPU time of this thread, minimum
// of the repetitions; user instructions beside it.
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <functional>
#include <limits>
#include <memory>
#include <vector>

#include <fmt/format.h>

#include "auth/policy.h"
#include "base/rng.h"
#include "figures.h"
#include "routing/endpoints.h"

namespace {

using namespace flexpert;

constexpr int kRepetitions = 200;
constexpr int kCalls = 4096;
constexpr std::size_t kInstances = 256;
constexpr std::size_t kInFlight = 1024;

/// User instructions of this thread; zero where the kernel does not let us count.
class InstructionCounter {
 public:
  InstructionCounter() {
    perf_event_attr attributes{};
    attributes.type = PERF_TYPE_HARDWARE;
    attributes.size = sizeof attributes;
    attributes.config = PERF_COUNT_HW_INSTRUCTIONS;
    attributes.exclude_kernel = 1;
    attributes.exclude_hv = 1;
    fd_ = static_cast<int>(syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0));
  }
  ~InstructionCounter() {
    if (fd_ >= 0) close(fd_);
  }
  InstructionCounter(const InstructionCounter&) = delete;
  InstructionCounter& operator=(const InstructionCounter&) = delete;
  [[nodiscard]] std::uint64_t value() const {
    std::uint64_t count = 0;
    return fd_ >= 0 && read(fd_, &count, sizeof count) == sizeof count ? count : 0;
  }

 private:
  int fd_ = -1;
};

double thread_ns() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

struct Cost {
  double ns = std::numeric_limits<double>::infinity();
  double instructions = std::numeric_limits<double>::infinity();
};

/// The cost of one of `kCalls` calls.
Cost least(const std::function<void()>& calls) {
  static const InstructionCounter counter;
  Cost cost;
  for (int run = 0; run < kRepetitions; ++run) {
    const std::uint64_t instructions = counter.value();
    const double start = thread_ns();
    calls();
    cost.ns = std::min(cost.ns, (thread_ns() - start) / kCalls);
    cost.instructions = std::min(cost.instructions, static_cast<double>(counter.value() - instructions) / kCalls);
  }
  return cost;
}

/// 256 instances of several sizes with a thousand requests in flight; returns false if a pick found nobody.
bool measure_picks(routing::PickPolicy policy, Cost& cost) {
  routing::EndpointPool pool({.policy = policy, .max_in_flight = 1000});
  const TimePoint now{std::chrono::hours(1)};
  Rng rng(1);
  for (std::size_t i = 0; i < kInstances; ++i) {
    const auto endpoint = pool.upsert(fmt::format("instance-{}", i));
    endpoint->ready = true;
    endpoint->weight = 1 + static_cast<double>(i % 3) / 2;
    endpoint->cost = 1 + static_cast<double>(i % 5) / 10;
  }
  pool.changed();
  std::vector<std::uint64_t> keys;
  for (int i = 0; i < kCalls; ++i) keys.push_back(rng.next() | 1);
  std::vector<routing::LoadTicket> tickets(kInFlight);
  bool all_held = true;
  cost = least([&] {
    for (std::size_t i = 0; i < kCalls; ++i) {
      routing::LoadTicket& ticket = tickets[i % kInFlight];
      ticket = pool.pick({.tokens = 100 + static_cast<double>(keys[i] % 900), .prefix_hash = keys[i], .session_hash = keys[i]}, now, rng);
      all_held = all_held && ticket.held();
    }
  });
  return all_held;
}

Result<void> measure_authorisation(bench::Figures& figures) {
  auth::PolicyRules rules;
  rules.revision = "bench";
  for (int i = 0; i < 64; ++i) {
    const std::string model = fmt::format("organisation/model-{}-instruct", i);
    rules.groups.push_back({.name = fmt::format("group-{}", i),
                            .model = model,
                            .level = auth::SecurityLevel::kHigh, .slots = {{0, 1}, {1, 3}}});
    rules.roles.push_back({.name = fmt::format("role-{}", i), .models = {model, fmt::format("family-{}-*", i)},
                           .expert_groups = {}, .denied_expert_groups = {}});
  }
  FLEXPERT_ASSIGN(const auto policy, auth::Policy::compile(std::move(rules)));
  auth::Identity identity{.credential = auth::Credential::kApiKey, .id = "key", .tenant = "tenant", .roles = {}};
  for (int i = 0; i < 32; ++i) identity.roles.push_back(fmt::format("role-{}", i));
  const auto grant = policy->grant(identity);
  std::vector<std::string> names;
  for (int i = 0; i < 64; ++i) {
    names.push_back(fmt::format("organisation/model-{}-instruct", i));  // every second is not its own
    names.push_back(fmt::format("family-{}-large", i));
  }
  std::size_t allowed = 0;
  const Cost cost = least([&] {
    for (std::size_t i = 0; i < kCalls; ++i) allowed += grant->model(names[i % names.size()]) != nullptr ? 1 : 0;
  });
  if (allowed != static_cast<std::size_t>(kRepetitions) * kCalls / 2)
    return fail(ErrorCode::kInternal, "half of the models are the caller's; allowed were {} of {}", allowed, kRepetitions * kCalls);
  figures.note("authorisation_instructions", cost.instructions, "instructions");
  figures.hold("authorisation", cost.ns, "ns", "<= 200 ns", cost.ns <= 200);
  return {};
}

}  // namespace

int main() {
  bench::Figures figures("gateway-pick",
                         fmt::format("{} instances of three weights, {} requests in flight, a pick takes its load and gives an earlier "
                                     "one back; CPU time of the thread, minimum of {} runs of {}",
                                     kInstances, kInFlight, kRepetitions, kCalls));
  struct Row {
    const char* name;
    routing::PickPolicy policy;
    double bar_ns;
  };
  using routing::PickPolicy;
  constexpr Row kRows[] = {{"round_robin", PickPolicy::kRoundRobin, 0},       {"random", PickPolicy::kRandom, 0},
                           {"power_of_two", PickPolicy::kPowerOfTwo, 20},     {"least_load", PickPolicy::kLeastLoad, 1000},
                           {"prefix_hash", PickPolicy::kPrefixHash, 100},     {"session", PickPolicy::kSession, 100}};
  bool finished = true;
  for (const Row& row : kRows) {
    Cost cost;
    finished = measure_picks(row.policy, cost) && finished;
    figures.note(fmt::format("{}_instructions", row.name), cost.instructions, "instructions");
    if (row.bar_ns == 0) figures.note(row.name, cost.ns, "ns");
    else figures.hold(row.name, cost.ns, "ns", fmt::format("<= {} ns", row.bar_ns), cost.ns <= row.bar_ns);
  }
  if (const auto measured = measure_authorisation(figures); !measured) {
    fmt::print("gateway-pick: {}\n", measured.error().message);
    finished = false;
  }
  return figures.verdict(finished);
}
