#include <map>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/rng.h"
#include "gateway/response_caching.h"

namespace flexpert::gateway {
namespace {

constexpr std::string_view kBody = R"({"model":"m","temperature":0,"messages":[]})";

/// Callers whose rights have the digest `rights`.
CallerPtr caller_with(std::string tenant, std::string rights) {
  auth::PolicyRules rules;
  // A group that they may not use makes rights of their own.
  for (const std::string model : {"m", "n"})
    if (!rights.empty())
      rules.groups.push_back({.name = rights + model,
                              .model = model,
                              .level = auth::SecurityLevel::kHigh,
                              .cost = 1,
                              .slots = {{.layer = 0, .expert = static_cast<std::uint32_t>(rights.size())}}});
  rules.roles = {{.name = "r", .models = {"*"}, .expert_groups = {}, .denied_expert_groups = {}, .admin = 0}};
  const auto policy = *auth::Policy::compile(std::move(rules));
  auto caller = std::make_shared<Caller>();
  caller->identity = {.credential = auth::Credential::kApiKey, .id = "k", .tenant = std::move(tenant), .roles = {"r"}};
  caller->grant = policy->grant(caller->identity);
  return caller;
}

struct CacheWorld {
  explicit CacheWorld(config::CacheConfig config = {.enabled = true}) : caching(loop, clock, config, registry) {}

  struct Request {
    ResponseCaching::AnswerPtr answer;
    bool by_ladder = false;
    std::unique_ptr<ResponseCaching::Lead> lead;
    std::unique_ptr<ResponseCaching::Following> following;
    std::string alone;
    int told = 0;
  };
  std::unique_ptr<Request> look(const CacheRequest& request) {
    auto made = std::make_unique<Request>();
    auto looked = caching.look(request, [r = made.get()](ResponseCaching::Told told) {
      ++r->told;
      if (auto* answer = std::get_if<ResponseCaching::AnswerPtr>(&told)) r->answer = std::move(*answer);
      else if (auto* lead = std::get_if<std::unique_ptr<ResponseCaching::Lead>>(&told)) r->lead = std::move(*lead);
      else r->alone = std::get<ResponseCaching::Alone>(told).why;
    });
    if (auto* hit = std::get_if<ResponseCaching::Hit>(&looked)) {
      made->answer = std::move(hit->answer);
      made->by_ladder = hit->by_ladder;
    } else if (auto* lead = std::get_if<std::unique_ptr<ResponseCaching::Lead>>(&looked)) {
      made->lead = std::move(*lead);
    } else if (auto* following = std::get_if<std::unique_ptr<ResponseCaching::Following>>(&looked)) {
      made->following = std::move(*following);
    } else {
      made->alone = std::get<ResponseCaching::Alone>(looked).why;
    }
    return made;
  }
  std::unique_ptr<Request> look(const Caller& caller, std::string_view body = kBody, std::string_view cache_control = {},
                                bool even_stale = false, std::uint64_t epoch = 1) {
    return look({.caller = &caller,
                 .path = "/v1/chat/completions",
                 .model = "m",
                 .model_epoch = epoch,
                 .body = body,
                 .cache_control = cache_control,
                 .even_stale = even_stale});
  }
  static void finish(Request& request, std::string_view body = R"({"ok":1})") {
    ASSERT_NE(request.lead, nullptr);
    EXPECT_TRUE(request.lead->head(200, "application/json; charset=utf-8", ""));
    EXPECT_TRUE(request.lead->body(body.substr(0, body.size() / 2)));
    EXPECT_TRUE(request.lead->body(body.substr(body.size() / 2)));
    request.lead->finish(3, 4);
    request.lead.reset();
  }
  void settle() {
    for (int i = 0; i < 4; ++i) loop.run_once(Duration::zero());
  }

  net::EventLoop loop;
  FakeClock clock;
  telemetry::Registry registry;
  ResponseCaching caching;
};

TEST(ResponseCaching, TheSecondIdenticalRequestGetsTheFirstOnesAnswer) {
  CacheWorld world;
  const auto caller = caller_with("a", "");
  const auto first = world.look(*caller);
  CacheWorld::finish(*first);
  const auto second = world.look(*caller, R"({"temperature":0, "messages":[], "model":"m", "user":"somebody"})");
  ASSERT_NE(second->answer, nullptr);
  EXPECT_EQ(second->answer->body, R"({"ok":1})");
  EXPECT_EQ(second->answer->content_type, "application/json; charset=utf-8");
  EXPECT_EQ(second->answer->prompt_tokens, 3U);
}

TEST(ResponseCaching, OffItDoesNothing) {
  CacheWorld world{config::CacheConfig{}};
  EXPECT_FALSE(world.caching.enabled());
  EXPECT_EQ(world.look(*caller_with("a", ""))->alone, "the cache is off");
}

TEST(ResponseCaching, AnswersEndWithTheirTimeButForOverload) {
  CacheWorld world({.enabled = true, .ttl_s = 10});
  const auto caller = caller_with("a", "");
  const auto first = world.look(*caller);
  CacheWorld::finish(*first);
  world.clock.advance(Seconds(11));
  const auto degraded = world.look(*caller, kBody, {}, true);
  ASSERT_NE(degraded->answer, nullptr);
  EXPECT_TRUE(degraded->by_ladder);
  EXPECT_NE(world.look(*caller)->lead, nullptr);
}

TEST(ResponseCaching, AClientsCacheControlNarrows) {
  CacheWorld world;
  const auto caller = caller_with("a", "");
  const auto first = world.look(*caller, kBody, "no-store");
  EXPECT_EQ(first->alone, "no-store");
  auto second = world.look(*caller);
  CacheWorld::finish(*second, "{\"old\":1}");
  const auto third = world.look(*caller, kBody, "no-cache");
  CacheWorld::finish(*third, "{\"new\":1}");
  EXPECT_EQ(world.look(*caller)->answer->body, "{\"new\":1}");
  EXPECT_FALSE(world.look(*caller, kBody, {}, true)->by_ladder);
  EXPECT_TRUE(world.look(*caller, kBody, "no-cache", true)->by_ladder);
  EXPECT_EQ(world.look(*caller, kBody, "no-store", true)->answer, nullptr);
}

TEST(ResponseCaching, NothingCrossesTenantRightsModelEpochPathOrCap) {
  CacheWorld world({.enabled = true, .share_in_flight = true});
  std::vector<CallerPtr> callers;
  for (const std::string tenant : {"a", "b"})
    for (const std::string rights : {"", "g", "gg"}) callers.push_back(caller_with(tenant, rights));
  std::set<std::string> digests;
  for (const auto& caller : callers) digests.insert(caller->grant->model("m")->digest);
  ASSERT_EQ(digests.size(), 3U);
  // Every request of different scope leads a computation of its own, and is answered by none but its own.
  std::vector<std::pair<CacheRequest, std::unique_ptr<CacheWorld::Request>>> all;
  for (const auto& caller : callers)
    for (const std::string_view path : {"/v1/chat/completions", "/v1/completions"})
      for (const std::string_view model : {"m", "n"})
        for (const std::uint64_t epoch : {1U, 2U})
          for (const std::uint64_t cap : {0U, 64U}) {
            const CacheRequest request{
                .caller = caller.get(), .path = path, .model = model, .model_epoch = epoch, .cap_max_tokens = cap, .body = kBody};
            all.emplace_back(request, world.look(request));
          }
  for (std::size_t i = 0; i < all.size(); ++i) {
    ASSERT_NE(all[i].second->lead, nullptr) << i;
    CacheWorld::finish(*all[i].second, std::to_string(i));
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto again = world.look(all[i].first);
    ASSERT_NE(again->answer, nullptr);
    EXPECT_EQ(again->answer->body, std::to_string(i));
  }
}

TEST(ResponseCaching, ErrorsAndForeignTypesAreNeverKept) {
  CacheWorld world;
  const auto caller = caller_with("a", "");
  const auto try_head = [&](int status, std::string_view type, std::string_view encoding) {
    const auto request = world.look(*caller);
    EXPECT_FALSE(request->lead->head(status, type, encoding));
    EXPECT_FALSE(request->lead->body("{}"));
    request->lead->finish(1, 1);
  };
  try_head(500, "application/json", "");
  try_head(404, "application/json", "");
  try_head(206, "application/json", "");
  try_head(200, "text/event-stream", "");
  try_head(200, "application/json", "gzip");
  const auto cut = world.look(*caller);
  cut->lead->head(200, "application/json", "");
  cut->lead->body("{\"half\":");
  cut->lead.reset();
  EXPECT_NE(world.look(*caller)->lead, nullptr);
  EXPECT_EQ(world.caching.bytes(), 0U);
}

TEST(ResponseCaching, IdenticalRequestsInFlightShareOneComputation) {
  CacheWorld world;
  const auto caller = caller_with("a", "");
  const auto leader = world.look(*caller);
  std::vector<std::unique_ptr<CacheWorld::Request>> followers;
  for (int i = 0; i < 50; ++i) followers.push_back(world.look(*caller));
  EXPECT_TRUE(leader->lead->wanted());
  CacheWorld::finish(*leader);
  for (const auto& follower : followers) EXPECT_EQ(follower->told, 0) << "not from inside finish()";
  world.settle();
  for (const auto& follower : followers) ASSERT_NE(follower->answer, nullptr);
  EXPECT_EQ(world.caching.groups(), 0U);
}

TEST(ResponseCaching, AFollowerTakesOverFromALeaderThatFails) {
  CacheWorld world;
  const auto caller = caller_with("a", "");
  auto leader = world.look(*caller);
  const auto second = world.look(*caller);
  const auto third = world.look(*caller);
  leader.reset();
  world.settle();
  ASSERT_NE(second->lead, nullptr);
  EXPECT_EQ(third->told, 0);
  CacheWorld::finish(*second);
  world.settle();
  EXPECT_NE(third->answer, nullptr);
}

TEST(ResponseCaching, AFollowerThatGoesBeforeItIsToldToLeadPassesTheLeadOn) {
  CacheWorld world;
  const auto caller = caller_with("a", "");
  auto leader = world.look(*caller);
  auto second = world.look(*caller);
  const auto third = world.look(*caller);
  leader.reset();
  second.reset();
  world.settle();
  EXPECT_EQ(third->told, 1);
  EXPECT_TRUE(third->lead != nullptr || !third->alone.empty());
}

TEST(ResponseCaching, AnAnswerThatIsTooLargeIsNotWaitedFor) {
  CacheWorld world({.enabled = true, .max_entry_bytes = 10});
  const auto caller = caller_with("a", "");
  const auto leader = world.look(*caller);
  const auto second = world.look(*caller);
  EXPECT_TRUE(leader->lead->head(200, "application/json", ""));
  EXPECT_FALSE(leader->lead->body("{\"more than ten\":1}"));
  world.settle();
  EXPECT_NE(second->lead, nullptr);
}

TEST(ResponseCaching, EverybodyIsAnsweredUnderRandomHistories) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    Rng rng(seed);
    CacheWorld world({.enabled = true, .max_bytes = 5000, .ttl_s = 1});
    const auto caller = caller_with("a", "");
    std::vector<std::unique_ptr<CacheWorld::Request>> open;
    for (int i = 0; i < 800; ++i) {
      world.clock.advance(Milliseconds(rng.below(200)));
      open.push_back(world.look(*caller, fmt::format(R"({{"temperature":0,"x":{}}})", rng.below(4))));
      const auto& some = open[rng.below(open.size())];
      if (some->lead != nullptr) rng.below(2) == 0 ? CacheWorld::finish(*some) : some->lead.reset();
      if (rng.below(5) == 0) open.erase(open.begin() + static_cast<std::ptrdiff_t>(rng.below(open.size())));
      if (rng.below(2) == 0) world.settle();
    }
    for (int rounds = 0; rounds < 2000; ++rounds) {
      world.settle();
      for (const auto& request : open)
        if (request->lead != nullptr) CacheWorld::finish(*request);
      if (world.caching.groups() == 0) break;
    }
    world.settle();
    EXPECT_EQ(world.caching.groups(), 0U);
    for (const auto& request : open) EXPECT_TRUE(request->following == nullptr || request->told == 1);
  }
}

}  // namespace
}  // namespace flexpert::gateway
