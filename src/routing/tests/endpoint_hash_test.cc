#include <cmath>
#include <map>

#include <gtest/gtest.h>

#include "routing/tests/endpoint_world.h"

namespace flexpert::routing {
namespace {

std::map<std::uint64_t, std::string> owners(EndpointWorld& world, std::uint64_t keys) {
  std::map<std::uint64_t, std::string> found;
  for (std::uint64_t key = 1; key <= keys; ++key) found[key] = world.name({.tokens = 1, .prefix_hash = key});
  return found;
}

TEST(PrefixHash, TheSameKeyGoesToTheSameEndpoint) {
  EndpointWorld world({.policy = PickPolicy::kPrefixHash}, 16);
  EXPECT_EQ(owners(world, 500), owners(world, 500));
}

TEST(PrefixHash, ARemovedEndpointMovesOnlyItsOwnKeysAndGetsThemBack) {
  EndpointWorld world({.policy = PickPolicy::kPrefixHash}, 16);
  const auto before = owners(world, 4000);
  world.all[5]->ready = false;
  world.pool.changed();
  const auto without = owners(world, 4000);
  for (const auto& [key, owner] : before) {
    EXPECT_NE(without.at(key), "e5");
    EXPECT_TRUE(owner == "e5" || without.at(key) == owner);
  }
  world.all[5]->ready = true;
  world.pool.changed();
  EXPECT_EQ(owners(world, 4000), before);
}

TEST(PrefixHash, ANewEndpointTakesKeysForItselfOnly) {
  EndpointWorld world({.policy = PickPolicy::kPrefixHash}, 15);
  const auto before = owners(world, 4000);
  world.add();
  int taken = 0;
  for (const auto& [key, owner] : owners(world, 4000)) {
    taken += owner == "e15" ? 1 : 0;
    EXPECT_TRUE(owner == "e15" || owner == before.at(key));
  }
  EXPECT_NEAR(taken, 4000 / 16, 100);  // its share, within the ring's unevenness
}

TEST(PrefixHash, MovementIsMinimalUnderRandomChurn) {
  EndpointWorld world({.policy = PickPolicy::kPrefixHash}, 24);
  auto before = owners(world, 500);
  for (int round = 0; round < 60; ++round) {
    Endpoint& changed = *world.all[world.rng.below(24)];
    const bool leaves = changed.ready;
    changed.ready = !leaves;
    changed.changed();
    auto after = owners(world, 500);
    for (const auto& [key, owner] : before) {
      if (after.at(key) == owner) continue;
      ASSERT_EQ(leaves ? owner : after.at(key), changed.id);
    }
    before = std::move(after);
  }
}

TEST(PrefixHash, KeysSpreadByWeight) {
  EndpointWorld world({.policy = PickPolicy::kPrefixHash}, 8);
  world.all[0]->weight = 3;
  world.pool.changed();
  std::map<std::string, int> counts;
  for (const auto& [key, owner] : owners(world, 20'000)) ++counts[owner];
  // 128 points a weight: one standard deviation of a share is about a tenth of it.
  EXPECT_NEAR(counts["e0"], 6000, 1500);
  for (int i = 1; i < 8; ++i) EXPECT_NEAR(counts[fmt::format("e{}", i)], 2000, 800);
}

TEST(PrefixHash, NobodyGetsMoreThanTheBoundAllows) {
  for (const double factor : {1.05, 1.25, 2.0}) {
    EndpointWorld world({.policy = PickPolicy::kPrefixHash, .prefix_load_factor = factor}, 10);
    std::vector<LoadTicket> tickets;
    for (int step = 0; step < 4000; ++step) {
      double total = 0;
      for (const auto& endpoint : world.all) total += endpoint->in_flight_tokens;
      const double tokens = 1 + std::floor(world.rng.uniform() * 50);
      const std::uint64_t key = world.rng.uniform() < 0.7 ? 42 : world.rng.next() | 1;  // one very popular prompt
      LoadTicket ticket = world.pick({.tokens = tokens, .prefix_hash = key});
      ASSERT_TRUE(ticket.held());
      ASSERT_LT(ticket.endpoint()->in_flight_tokens - tokens, factor * (total + tokens) / 10);
      tickets.push_back(std::move(ticket));
      while (tickets.size() > 200) tickets.erase(tickets.begin() + static_cast<std::ptrdiff_t>(world.rng.below(tickets.size())));
    }
  }
}

TEST(PrefixHash, TheBoundCountsWhatOtherPoolsSendToASharedEndpoint) {
  EndpointWorld world({.policy = PickPolicy::kPrefixHash}, 2);
  const std::string owner = world.name({.prefix_hash = 9});
  EndpointPool other({.policy = PickPolicy::kLeastLoad});
  for (const auto& endpoint : world.all)
    if (endpoint->id == owner) other.add(endpoint);
  std::vector<LoadTicket> tickets;
  for (int i = 0; i < 4; ++i) tickets.push_back(other.pick({.tokens = 100}, world.now, world.rng));
  EXPECT_NE(world.name({.tokens = 1, .prefix_hash = 9}), owner);
  tickets.clear();
  EXPECT_EQ(world.name({.tokens = 1, .prefix_hash = 9}), owner);
}

TEST(PrefixHash, WithoutAKeyLeastLoadDecides) {
  EndpointWorld world({.policy = PickPolicy::kPrefixHash}, 4);
  const auto counts = world.count(400);
  for (const auto& [name, count] : counts) EXPECT_EQ(count, 100) << name;
}

TEST(Session, SticksToItsEndpointAndMovesOnlyWithIt) {
  EndpointWorld world({.policy = PickPolicy::kSession}, 6);
  const std::string home = world.name({.session_hash = 77});
  EXPECT_EQ(world.count(50, {.session_hash = 77}).at(home), 50);
  for (const auto& endpoint : world.all)
    if (endpoint->id != home) {
      endpoint->draining = true;
      endpoint->changed();
      break;
    }
  EXPECT_EQ(world.name({.session_hash = 77}), home);
}

TEST(HashRing, IsTheSameHoweverItCameAbout) {
  std::vector<HashRing::Member> members;
  for (std::uint64_t i = 0; i < 40; ++i) members.push_back({mix(i + 1), 1.0 + static_cast<double>(i % 3)});
  HashRing whole;
  whole.assign(members);
  HashRing grown;
  for (std::size_t count = 1; count <= members.size(); ++count) grown.assign(std::span(members).first(count));
  Rng rng(3);
  for (int i = 0; i < 5000; ++i) {
    const std::uint64_t key = rng.next();
    ASSERT_EQ(whole.member(whole.find(key)), grown.member(grown.find(key)));
  }
}

}  // namespace
}  // namespace flexpert::routing
