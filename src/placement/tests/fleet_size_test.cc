#include "placement/fleet_size.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace flexpert::placement {
namespace {

FleetSizeInput input_of(const std::vector<std::uint32_t>& replicas) {
  FleetSizeInput input;
  input.replicas = replicas;
  input.slots_per_server = 128;
  input.min_servers = 2;
  input.max_servers = 6;
  input.current = 2;
  return input;
}

TEST(FleetSize, TheLargestNeedDecidesAndIsNamed) {
  std::vector<std::uint32_t> replicas(192, 1);
  EXPECT_EQ(servers_needed(input_of(replicas)).servers, 2U);
  EXPECT_EQ(servers_needed(input_of(replicas)).reason.code, "min_servers");
  replicas[0] = 4;
  EXPECT_EQ(servers_needed(input_of(replicas)).servers, 4U);
  EXPECT_EQ(servers_needed(input_of(replicas)).reason.code, "replica_spread");
  replicas.assign(192, 2);
  EXPECT_EQ(servers_needed(input_of(replicas)).servers, 3U);
  EXPECT_EQ(servers_needed(input_of(replicas)).reason.code, "slots");
  replicas.assign(192, 8);
  EXPECT_EQ(servers_needed(input_of(replicas)).servers, 6U);
  EXPECT_EQ(servers_needed(input_of(replicas)).reason.code, "at_max_servers");
}

TEST(FleetSize, SpeedCountsWhenItIsKnown) {
  const std::vector<std::uint32_t> replicas(192, 1);
  FleetSizeInput input = input_of(replicas);
  input.rows_per_s = 3000;
  EXPECT_EQ(servers_needed(input).servers, 2U);
  input.server_rows_per_s = 1000;
  EXPECT_EQ(servers_needed(input).servers, 5U);
  EXPECT_EQ(servers_needed(input).reason.code, "speed");
}

TEST(FleetSize, NoiseAroundABoundaryChangesNothing) {
  const std::vector<std::uint32_t> replicas(192, 1);
  FleetSizeInput input = input_of(replicas);
  input.server_rows_per_s = 1000;
  Rng rng(1);
  int changes = 0;
  for (int i = 0; i < 10'000; ++i) {
    input.rows_per_s = 1800 * (0.9 + 0.2 * rng.uniform());
    const std::uint32_t servers = servers_needed(input).servers;
    changes += servers != input.current;
    input.current = servers;
  }
  EXPECT_LE(changes, 2);
  input.rows_per_s = 100;
  EXPECT_EQ(servers_needed(input).servers, 2U) << "a real fall does give servers up";
}

TEST(FleetSize, StaysWithinBoundsForAnything) {
  Rng rng(2);
  for (int i = 0; i < 5000; ++i) {
    std::vector<std::uint32_t> replicas(rng.below(50));
    for (std::uint32_t& r : replicas) r = static_cast<std::uint32_t>(rng.below(10));
    FleetSizeInput input = input_of(replicas);
    input.slots_per_server = static_cast<std::uint32_t>(rng.below(50));
    input.rows_per_s = rng.uniform() * 1e5;
    input.server_rows_per_s = rng.uniform() * 1e4;
    input.current = static_cast<std::uint32_t>(rng.below(9));
    const std::uint32_t servers = servers_needed(input).servers;
    ASSERT_GE(servers, 2U);
    ASSERT_LE(servers, 6U);
  }
}

}  // namespace
}  // namespace flexpert::placement
