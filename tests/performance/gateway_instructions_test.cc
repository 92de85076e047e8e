// A ratchet on what the gateway's request path costs: instructions in user space of one relayed request, with key, policy, limits,
// routing, metrics and access log on.
#include <algorithm>
#include <csignal>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <gtest/gtest.h>

#include "rig/backend.h"
#include "rig/load.h"
#include "rig/proxy.h"
#include "rig/requests.h"

namespace flexpert::bench {
namespace {

constexpr std::uint64_t kRequests = 4'000;
constexpr int kRounds = 3;
/// So many that there are batches even where other processes want the cores; a request that comes alone costs about 800 more.
constexpr std::size_t kConnections = 64;

/// The digest of a key and the scan of a body are written for these; elsewhere they take a few thousand instructions more.
bool has_sha_and_avx512() {
#if defined(__x86_64__)
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned kSha = 1U << 29;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & kSha) != 0 && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
#else
  return false;
#endif
}

/// User instructions of a request of so many bytes; 0 where the machine does not let them be counted.
double instructions_of_a_request(std::size_t body_bytes) {
  ::signal(SIGPIPE, SIG_IGN);
  auto backend = Backend::start(1, -1);
  EXPECT_TRUE(backend) << backend.error().message;
  if (!backend) return 0;
  const BenchFolder folder;
  auto gateway = start_gateway(folder, FLEXPERT_PROGRAM, {.upstreams = (*backend)->ports(), .core = -1});
  EXPECT_TRUE(gateway) << gateway.error().message;
  if (!gateway || !gateway->proxy->watch().counts_instructions()) return 0;
  const std::string request = chat_request({.body_bytes = body_bytes, .api_key = gateway->api_key});
  Load load(gateway->proxy->port(), kConnections);
  EXPECT_EQ(load.closed_loop(request, kConnections * 10).failed, 0U);
  double fewest = 0;
  for (int round = 0; round < kRounds; ++round) {
    const Cost before = gateway->proxy->watch().read();
    const LoadResult result = load.closed_loop(request, kRequests);
    const Cost used = gateway->proxy->watch().read() - before;
    EXPECT_EQ(result.failed, 0U) << result.first_failure;
    const double instructions = static_cast<double>(used.user_instructions) / static_cast<double>(kRequests);
    fewest = round == 0 ? instructions : std::min(fewest, instructions);
  }
  return fewest;
}

void expect_at_most(double most, std::size_t body_bytes) {
  const double instructions = instructions_of_a_request(body_bytes);
  if (instructions == 0) GTEST_SKIP() << "SKIPPED: instructions cannot be counted here (kernel.perf_event_paranoid, or a machine without counters)";
  testing::Test::RecordProperty("instructions", static_cast<int>(instructions));
  EXPECT_LE(instructions, has_sha_and_avx512() ? most : 1.5 * most);
}

TEST(GatewayInstructions, ARequestOf1KBStaysCheap) { expect_at_most(15'000, 1024); }

TEST(GatewayInstructions, ARequestOf16KBStaysCheap) { expect_at_most(20'000, 16 * 1024); }

TEST(GatewayInstructions, ALongPromptStaysCheap) { expect_at_most(75'000, 200'000); }

}  // namespace
}  // namespace flexpert::bench
