#include "gateway/server_directory.h"

#include <gtest/gtest.h>

namespace flexpert::gateway {
namespace {

/// An upstream that only exists.
class IdleUpstream final : public http::OutboundUpstream {
 public:
  http::OutboundRequest* send(std::string_view, std::span<const std::string_view>, bool, http::OutboundListener&) override { return nullptr; }
  [[nodiscard]] std::size_t idle_connections() const override { return 0; }
  [[nodiscard]] std::size_t open_connections() const override { return 0; }
};

class ServerDirectoryTest : public ::testing::Test {
 protected:
  void configure(const std::string& id, std::vector<std::string> models, bool own = false) {
    directory.add_configured({.id = id, .address = {.host_or_path = "127.0.0.1", .port = 80}, .models = std::move(models), .own = own});
    directory.set_health(id, true, std::nullopt);
  }
  static InstanceStatus instance(const std::string& id, InstanceState state = InstanceState::kReady) {
    return {.id = {id}, .state = state, .model = {}, .address = "127.0.0.1:9", .pid = 7, .last_error = {}};
  }
  void fleet(std::vector<InstanceStatus> instances) {
    FleetSnapshot snapshot;
    snapshot.model = "m";
    snapshot.instances = std::move(instances);
    directory.apply(snapshot);
  }
  std::string pick(std::string_view model, bool own_only = false) {
    ModelPool* pool = directory.find(model);
    if (pool == nullptr) return "no pool";
    const ServerPick made = directory.pick(*pool, {}, own_only, now, rng);
    return made.server == nullptr ? "nobody" : made.server->id;
  }

  ServerDirectory directory;
  Rng rng{1};
  TimePoint now{std::chrono::hours(1)};
};

TEST_F(ServerDirectoryTest, AModelsPoolHasTheServersThatHaveIt) {
  configure("a", {"m", "n"});
  configure("b", {"n"});
  EXPECT_EQ(pick("m"), "a");
  EXPECT_EQ(directory.find("n")->all().endpoints().size(), 2U);
  EXPECT_EQ(pick("other"), "no pool");
  directory.set_health("a", true, std::vector<std::string>{"n"});
  EXPECT_EQ(pick("m"), "no pool");
  EXPECT_FALSE(directory.knows("m"));
}

TEST_F(ServerDirectoryTest, ModelsOfOneServerShareItsLoad) {
  configure("a", {"m", "n"});
  configure("b", {"n"});
  const ServerPick busy = directory.pick(*directory.find("m"), {.tokens = 100}, false, now, rng);
  EXPECT_EQ(pick("n"), "b");
  EXPECT_EQ(pick("n"), "b");
  EXPECT_EQ(directory.in_flight(), 1U);
}

TEST_F(ServerDirectoryTest, ARestrictedCallerGetsOnlyServersThatMask) {
  configure("foreign", {"m"});
  EXPECT_EQ(pick("m", true), "nobody");
  EXPECT_TRUE(directory.find("m")->has_foreign());
  configure("ours", {"m"}, true);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(pick("m", true), "ours");
  fleet({instance("s0")});
  EXPECT_TRUE(directory.servers().at("s0").own);
  EXPECT_EQ(directory.find("m")->own().endpoints().size(), 2U);
}

TEST_F(ServerDirectoryTest, ALostServerGetsNothingForTwoSecondsOrUntilSeenAnew) {
  fleet({instance("s0")});
  directory.mark_lost("s0", now);
  EXPECT_EQ(pick("m"), "nobody");
  fleet({instance("s0")});
  EXPECT_EQ(pick("m"), "nobody");  // the same process as before
  now += ServerDirectory::kLostFor;
  EXPECT_EQ(pick("m"), "s0");
  directory.mark_lost("s0", now);
  InstanceStatus again = instance("s0");
  again.pid = 8;
  fleet({again});
  EXPECT_EQ(pick("m"), "s0");
}

TEST_F(ServerDirectoryTest, ATicketOutlivesItsServer) {
  fleet({instance("s0")});
  ServerPick made = directory.pick(*directory.find("m"), {.tokens = 5}, false, now, rng);
  fleet({});
  EXPECT_EQ(pick("m"), "no pool");
  EXPECT_EQ(made.ticket.endpoint()->id, "s0");
  made.ticket.release();
  EXPECT_EQ(directory.in_flight(), 0U);
}

TEST_F(ServerDirectoryTest, WhatAServerReportsBeyondOurAttemptsCounts) {
  InstanceStatus busy = instance("s0");
  busy.queued = 3;
  busy.running = 4;
  fleet({busy, instance("s1")});
  EXPECT_EQ(directory.servers().at("s0").endpoint->reported_tokens, 7);
  EXPECT_EQ(pick("m"), "s1");
  std::vector<ServerPick> ours;
  for (int i = 0; i < 14; ++i) ours.push_back(directory.pick(*directory.find("m"), {}, false, now, rng));
  const std::uint32_t on_s0 = directory.servers().at("s0").endpoint->in_flight;
  fleet({busy, instance("s1")});
  EXPECT_EQ(directory.servers().at("s0").endpoint->reported_tokens, 7.0 - on_s0);
}

TEST_F(ServerDirectoryTest, RoutingIsPerModelAndMayChange) {
  config::RoutingConfig usual;
  config::RoutingConfig special;
  special.policy = "round_robin";
  special.breaker_max_in_flight = 2;
  directory.set_routing(usual, {{.model = "n", .routing = special}});
  configure("a", {"m", "n"});
  EXPECT_EQ(directory.find("m")->all().options().policy, routing::PickPolicy::kLeastLoad);
  EXPECT_EQ(directory.find("n")->all().options().policy, routing::PickPolicy::kRoundRobin);
  EXPECT_EQ(directory.find("n")->all().options().max_in_flight, 2U);
  usual.policy = "prefix_hash";
  directory.set_routing(usual, {});
  EXPECT_EQ(directory.find("n")->all().options().policy, routing::PickPolicy::kPrefixHash);
  EXPECT_EQ(directory.find("n")->all().options().max_in_flight, 0U);
}

TEST_F(ServerDirectoryTest, SlowStartBeginsWhenAServerBecomesReady) {
  config::RoutingConfig routing;
  routing.slow_start_s = 100;
  directory.set_routing(routing, {});
  configure("a", {"m"});
  EXPECT_EQ(pick("m"), "a");
  now += Seconds(100);
  configure("b", {"m"});
  std::vector<ServerPick> picks;
  for (int i = 0; i < 110; ++i) picks.push_back(directory.pick(*directory.find("m"), {}, false, now, rng));
  EXPECT_NEAR(directory.servers().at("b").endpoint->in_flight, 10, 2);
}

TEST_F(ServerDirectoryTest, CapacityIsThatOfTheReadyServers) {
  config::RoutingConfig routing;
  routing.capacity_tokens = 1000;
  routing.breaker_max_in_flight = 8;
  directory.set_routing(routing, {});
  configure("a", {"m"});
  configure("b", {"m"});
  directory.set_health("b", false, std::nullopt);
  const ServerPick made = directory.pick(*directory.find("m"), {.tokens = 250}, false, now, rng);
  const ServerCapacity capacity = directory.capacity(now);
  EXPECT_EQ(capacity.ready, 1U);
  EXPECT_EQ(capacity.requests, 8U);
  EXPECT_EQ(capacity.tokens, 1000);
  EXPECT_DOUBLE_EQ(capacity.saturation, 0.25);
}

TEST_F(ServerDirectoryTest, WithoutAKnownCapacityTheQueueTellsSaturation) {
  InstanceStatus full = instance("s0");
  full.running = 10;
  fleet({full});
  EXPECT_EQ(directory.capacity(now).saturation, 0);
  full.queued = 5;
  fleet({full});
  EXPECT_DOUBLE_EQ(directory.capacity(now).saturation, 0.5);
  EXPECT_EQ(directory.capacity(now).requests, 0U);
}

TEST_F(ServerDirectoryTest, ConnectsAnewOnlyWhereTheAddressChanged) {
  int connected = 0;
  directory.connect_with([&](const ModelServer&) {
    ++connected;
    return std::make_unique<IdleUpstream>();
  });
  fleet({instance("s0")});
  fleet({instance("s0")});
  EXPECT_EQ(connected, 1);
  InstanceStatus moved = instance("s0");
  moved.address = "127.0.0.1:10";
  fleet({moved});
  EXPECT_EQ(connected, 2);
  EXPECT_NE(directory.servers().at("s0").upstream, nullptr);
}

TEST_F(ServerDirectoryTest, ARegisteredServerMayLeaveAndNeverTakesAnothersPlace) {
  configure("a", {"m"});
  EXPECT_FALSE(directory.add_registered({.id = "a", .address = {.host_or_path = "10.0.0.1", .port = 1}}));
  EXPECT_TRUE(directory.add_registered({.id = "r", .address = {.host_or_path = "10.0.0.1", .port = 1}, .models = {"n"}}));
  EXPECT_EQ(pick("n"), "nobody");
  directory.set_health("r", true, std::nullopt);
  EXPECT_EQ(pick("n"), "r");
  directory.remove_registered("a");
  directory.remove_registered("r");
  EXPECT_EQ(pick("n"), "no pool");
  EXPECT_EQ(pick("m"), "a");
}

TEST_F(ServerDirectoryTest, CallsOfTheExpertsGoToTheFleetOnly) {
  configure("ours", {"m"}, true);
  EXPECT_FALSE(directory.pick_of_fleet({}, now).ticket.held());
  fleet({instance("s0"), instance("s1", InstanceState::kDraining)});
  for (int i = 0; i < 10; ++i) EXPECT_EQ(directory.pick_of_fleet({}, now).server->id, "s0");
}

}  // namespace
}  // namespace flexpert::gateway
