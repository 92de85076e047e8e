#include "gateway/tests/admission_world.h"

#include <algorithm>
#include <cmath>

#include "base/rng.h"
#include "routing/rate_limit.h"

namespace flexpert::gateway {
namespace {

TEST(AdmissionControl, AdmitsAtOnceWhileThereIsRoom) {
  AdmissionWorld world({.max_in_flight = 2});
  const auto caller = caller_of("a");
  const auto first = world.send(*caller);
  const auto second = world.send(*caller);
  const auto third = world.send(*caller);
  EXPECT_NE(first->admitted, nullptr);
  EXPECT_NE(second->admitted, nullptr);
  EXPECT_NE(third->waiting, nullptr);
  EXPECT_EQ(world.admission->in_flight(), 2U);
  EXPECT_EQ(world.admission->queued(), 1U);
}

TEST(AdmissionControl, WithoutACapacityEverythingComesIn) {
  AdmissionWorld world({});
  const auto caller = caller_of("a");
  std::vector<std::unique_ptr<AdmissionWorld::Request>> requests;
  for (int i = 0; i < 5000; ++i) requests.push_back(world.send(*caller));
  EXPECT_EQ(world.admission->in_flight(), 5000U);
  requests.clear();
  EXPECT_EQ(world.admission->in_flight(), 0U);
}

TEST(AdmissionControl, AnEndLetsTheNextInAfterTheTurn) {
  AdmissionWorld world({.max_in_flight = 1});
  const auto caller = caller_of("a");
  auto first = world.send(*caller);
  const auto second = world.send(*caller);
  world.clock.advance(Milliseconds(30));
  first->admitted.reset();
  EXPECT_EQ(second->told, 0) << "not from inside the end of another";
  world.settle();
  EXPECT_EQ(second->told, 1);
  ASSERT_NE(second->admitted, nullptr);
  EXPECT_EQ(second->admitted->waited(), Milliseconds(30));
}

TEST(AdmissionControl, WhoeverComesWhileOthersWaitQueuesBehindThem) {
  AdmissionWorld world({.max_in_flight = 1});
  const auto caller = caller_of("a");
  auto first = world.send(*caller);
  const auto second = world.send(*caller);
  first->admitted.reset();
  const auto third = world.send(*caller);
  EXPECT_EQ(third->admitted, nullptr);
  world.settle();
  EXPECT_NE(second->admitted, nullptr);
  EXPECT_EQ(third->told, 0);
}

TEST(AdmissionControl, MoreCapacityLetsThoseWhoWaitIn) {
  AdmissionWorld world({});
  world.admission->set_capacity(1);
  const auto caller = caller_of("a");
  const auto first = world.send(*caller);
  const auto second = world.send(*caller);
  world.admission->set_capacity(2);
  world.settle();
  EXPECT_NE(second->admitted, nullptr);
}

TEST(AdmissionControl, FieldsSayWhatRemainsHoweverManyDigitsItHas) {
  Rng rng(5);
  for (const std::uint64_t limit : {1UL, 60UL, 99'999'999UL, 100'000'000UL, 100'000'005UL, 900'000'000'000UL, 12'345'678'901'234UL}) {
    AdmissionWorld world({});
    const auto caller = caller_of("a", {.tokens_per_minute = limit});
    std::uint64_t left = limit;
    for (int i = 0; i < 50; ++i) {
      const std::uint64_t tokens = std::min(left, rng.below(i % 2 == 0 ? 4 : limit / 16 + 1));
      const auto request = world.send(*caller, tokens, 0);
      ASSERT_NE(request->admitted, nullptr);
      left -= tokens;
      const auto ms = static_cast<std::uint64_t>(std::ceil(static_cast<double>(limit - left) * 60'000 / static_cast<double>(limit)));
      char reset[routing::kResetBytes];
      const std::string_view wait(reset, routing::write_reset(reset, Milliseconds(ms)));
      EXPECT_EQ(world.fields(*caller), fmt::format("x-ratelimit-limit-tokens: {}\r\nx-ratelimit-remaining-tokens: {}\r\n", limit, left) +
                                           fmt::format("x-ratelimit-reset-tokens: {}\r\n", wait));
    }
  }
}

TEST(AdmissionControl, TokensCountTimesTheirCostWhenReservedAndWhenSettled) {
  AdmissionWorld world({});
  const auto caller = caller_of("a", {.tokens_per_minute = 1000});
  const auto request = world.send(*caller, 10, 90, {}, 2.5);
  ASSERT_NE(request->admitted, nullptr);
  EXPECT_NE(world.fields(*caller).find("x-ratelimit-remaining-tokens: 750\r\n"), std::string::npos) << world.fields(*caller);
  request->admitted->settle(10, 10);
  EXPECT_NE(world.fields(*caller).find("x-ratelimit-remaining-tokens: 950\r\n"), std::string::npos) << world.fields(*caller);
  const auto refused = world.send(*caller, 10, 390, {}, 2.5);
  ASSERT_TRUE(refused->refused);
  EXPECT_NE(refused->refused->message.find("requested about 1000 (prompt and max_tokens, each counted as 2.5)"), std::string::npos)
      << refused->refused->message;
}

TEST(AdmissionControl, SharesAreMeasuredInCost) {
  AdmissionWorld world({.max_in_flight = 1});
  const auto dear = caller_of("dear"), plain = caller_of("plain");
  auto running = world.send(*plain);
  std::vector<std::unique_ptr<AdmissionWorld::Request>> waiting;
  for (int i = 0; i < 40; ++i) {
    waiting.push_back(world.send(*dear, 10, 90, {}, 3));
    waiting.push_back(world.send(*plain, 10, 90));
  }
  int dear_served = 0, plain_served = 0;
  for (int i = 0; i < 40; ++i) {
    running->admitted.reset();
    world.settle();
    const auto next = std::find_if(waiting.begin(), waiting.end(), [](const auto& request) { return request->admitted != nullptr; });
    ASSERT_NE(next, waiting.end());
    ++((next - waiting.begin()) % 2 == 0 ? dear_served : plain_served);
    running = std::move(*next);
    *next = std::make_unique<AdmissionWorld::Request>();
  }
  EXPECT_NEAR(dear_served, 10, 1) << "each takes three times as much";
  EXPECT_NEAR(plain_served, 30, 1);
}

TEST(AdmissionControl, AWaitThatIsDroppedLeavesTheQueueAndGivesItsTokensBack) {
  AdmissionWorld world({.max_in_flight = 1});
  const auto caller = caller_of("a", {.tokens_per_minute = 1000, .concurrency = 2});
  const auto first = world.send(*caller);
  auto second = world.send(*caller);
  EXPECT_NE(world.fields(*caller).find("x-ratelimit-remaining-tokens: 800\r\n"), std::string::npos);
  second->waiting.reset();
  EXPECT_EQ(world.admission->queued(), 0U);
  EXPECT_NE(world.fields(*caller).find("x-ratelimit-remaining-tokens: 900\r\n"), std::string::npos);
  EXPECT_NE(world.send(*caller)->waiting, nullptr) << "its place among the tenant's own is free again";
}

TEST(AdmissionControl, RefusesWhatWaitedTooLongAndChargesNothing) {
  AdmissionWorld world({.max_in_flight = 1, .max_queue_s = 30});
  const auto caller = caller_of("a", {.requests_per_minute = 100, .tokens_per_minute = 1000});
  const auto first = world.send(*caller);
  const auto second = world.send(*caller, 10, 90, Seconds(2));
  world.clock.advance(Seconds(2));
  world.admission->set_capacity(1);
  world.settle();
  ASSERT_TRUE(second->refused);
  EXPECT_EQ(second->refused->status, 503);
  EXPECT_EQ(second->refused->code, "queue_timeout");
  EXPECT_GE(second->refused->retry_after_s, 1);
  EXPECT_NE(world.fields(*caller).find("x-ratelimit-remaining-requests: 100\r\n"), std::string::npos) << world.fields(*caller);
}

TEST(AdmissionControl, TheLoopsTimerEndsAWaitByItself) {
  net::EventLoop loop;
  SystemClock clock;
  telemetry::Registry registry;
  const auto admission = std::move(*make_admission(loop, clock, {.max_in_flight = 1, .max_queue_s = 0.02}, registry));
  const auto caller = caller_of("a");
  const auto first = admission->admit({.caller = caller.get()}, [](Admission::Outcome) {});
  std::optional<Refusal> refused;
  const auto second = admission->admit({.caller = caller.get()}, [&](Admission::Outcome outcome) { refused = outcome.error(); });
  for (int turns = 0; turns < 100 && !refused; ++turns) loop.run_once(Seconds(1));
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 503);
}

TEST(AdmissionControl, AFullQueueRefusesTheNewcomerOrWhoeverIsOverItsShare) {
  AdmissionWorld world({.max_in_flight = 1, .max_queued = 4});
  const auto heavy = caller_of("heavy");
  const auto light = caller_of("light");
  std::vector<std::unique_ptr<AdmissionWorld::Request>> requests;
  for (int i = 0; i < 5; ++i) requests.push_back(world.send(*heavy));
  const auto one_more = world.send(*heavy);
  ASSERT_TRUE(one_more->refused);
  EXPECT_EQ(one_more->refused->status, 503);
  EXPECT_EQ(one_more->refused->code, "queue_full");
  EXPECT_GE(one_more->refused->retry_after_s, 1);
  const auto newcomer = world.send(*light);
  EXPECT_NE(newcomer->waiting, nullptr);
  world.settle();
  ASSERT_TRUE(requests.back()->refused) << "the newest of the heavy tenant";
  EXPECT_EQ(requests.back()->refused->status, 503);
}

TEST(AdmissionControl, SettlesTokensByRealUse) {
  AdmissionWorld world({});
  const auto caller = caller_of("a", {.tokens_per_minute = 1000});
  auto request = world.send(*caller, 100, 400);
  EXPECT_NE(world.fields(*caller).find("remaining-tokens: 500\r\n"), std::string::npos);
  request->admitted->settle(90, 10);
  EXPECT_NE(world.fields(*caller).find("remaining-tokens: 900\r\n"), std::string::npos);
  request->admitted->settle(90, 60);
  EXPECT_NE(world.fields(*caller).find("remaining-tokens: 850\r\n"), std::string::npos) << "the last word counts";
  request->admitted.reset();
  EXPECT_NE(world.fields(*caller).find("remaining-tokens: 850\r\n"), std::string::npos);
}

TEST(AdmissionControl, ARequestThatIsHeldTakesNobodysPlace) {
  AdmissionWorld world({.max_in_flight = 1});
  const auto caller = caller_of("a");
  auto held = world.send(*caller);
  const auto second = world.send(*caller);
  held->admitted->hold(true);
  held->admitted->hold(true);
  EXPECT_EQ(world.admission->in_flight(), 0U);
  world.settle();
  ASSERT_NE(second->admitted, nullptr);
  held->admitted->hold(false);
  EXPECT_EQ(world.admission->in_flight(), 2U) << "it goes on at once";
  const auto third = world.send(*caller);
  EXPECT_NE(third->waiting, nullptr);
  held->admitted->hold(true);
  held.reset();
  EXPECT_EQ(world.admission->in_flight(), 1U);
}

TEST(AdmissionControl, AnswersFromTheCacheCountAsRequestsOnly) {
  AdmissionWorld world({.max_in_flight = 1});
  const auto caller = caller_of("a", {.requests_per_minute = 2, .tokens_per_minute = 100});
  const auto first = world.send(*caller, 50, 50);
  EXPECT_FALSE(world.admission->count(*caller));
  EXPECT_EQ(world.admission->in_flight(), 1U);
  const auto refused = world.admission->count(*caller);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 429);
  EXPECT_EQ(refused->type, "requests");
  EXPECT_EQ(refused->retry_after_s, 30);
}

TEST(AdmissionControl, RateRefusalsSayWhyAndWhenToComeBack) {
  AdmissionWorld world({});
  const auto caller = caller_of("a", {.requests_per_minute = 60, .tokens_per_minute = 1000});
  std::vector<std::unique_ptr<AdmissionWorld::Request>> requests;
  for (int i = 0; i < 10; ++i) requests.push_back(world.send(*caller));
  const auto by_tokens = world.send(*caller);
  ASSERT_TRUE(by_tokens->refused);
  EXPECT_EQ(by_tokens->refused->status, 429);
  EXPECT_EQ(by_tokens->refused->type, "tokens");
  EXPECT_EQ(by_tokens->refused->code, "rate_limit_exceeded");
  EXPECT_EQ(by_tokens->refused->retry_after_s, 6) << "100 of 1000 a minute";
  const auto too_large = world.send(*caller, 1, 1000);
  EXPECT_EQ(too_large->refused->retry_after_s, 0);
  EXPECT_NE(too_large->refused->message.find("waiting does not help"), std::string::npos);
  for (int i = 0; i < 50; ++i) requests.push_back(world.send(*caller, 0, 1));
  world.clock.advance(Seconds(6));
  for (int i = 0; i < 60; ++i) requests.push_back(world.send(*caller, 0, 1));
  const auto by_requests = world.send(*caller, 0, 1);
  ASSERT_TRUE(by_requests->refused);
  EXPECT_EQ(by_requests->refused->type, "requests");
  EXPECT_EQ(by_requests->refused->retry_after_s, 1);
}

TEST(AdmissionControl, HoldsATenantToItsConcurrencyAndItsPlacesInTheQueue) {
  AdmissionWorld world({.max_in_flight = 1});
  const auto caller = caller_of("a", {.concurrency = 3, .queued = 1});
  const auto first = world.send(*caller);
  const auto second = world.send(*caller);
  const auto third = world.send(*caller);
  ASSERT_TRUE(third->refused);
  EXPECT_EQ(third->refused->status, 429);
  const auto other = caller_of("b", {.concurrency = 1});
  const auto fourth = world.send(*other);
  const auto fifth = world.send(*other);
  ASSERT_TRUE(fifth->refused);
  EXPECT_NE(fifth->refused->message.find("as many as it may"), std::string::npos);
}

TEST(AdmissionControl, ANewPolicysLimitsCountFromTheNextRequestOn) {
  AdmissionWorld world({});
  const auto before = caller_of("a", {.tokens_per_minute = 1000});
  const auto first = world.send(*before, 0, 900);
  const auto after = caller_of("a", {.tokens_per_minute = 500});
  EXPECT_TRUE(world.send(*after, 0, 10)->refused) << "what was taken stays taken";
}

TEST(AdmissionControl, WritesOpenAisFieldsForLimitsThatThereAre) {
  AdmissionWorld world({});
  EXPECT_EQ(world.fields(*caller_of("none")), "");
  const auto caller = caller_of("a", {.requests_per_minute = 60, .tokens_per_minute = 6000});
  const auto request = world.send(*caller, 10, 90);
  EXPECT_EQ(world.fields(*caller),
            "x-ratelimit-limit-requests: 60\r\nx-ratelimit-remaining-requests: 59\r\nx-ratelimit-reset-requests: 1s\r\n"
            "x-ratelimit-limit-tokens: 6000\r\nx-ratelimit-remaining-tokens: 5900\r\nx-ratelimit-reset-tokens: 1s\r\n");
}

TEST(AdmissionControl, EverythingIsGivenBackUnderRandomHistories) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    Rng rng(seed);
    AdmissionWorld world({.max_in_flight = 8, .max_queued = 30, .max_queue_s = 5});
    std::vector<CallerPtr> callers;
    for (int t = 0; t < 5; ++t)
      callers.push_back(caller_of("t" + std::to_string(t), {.tokens_per_minute = 1'000'000, .concurrency = 20},
                                  static_cast<auth::PriorityClass>(rng.below(3)), 1 + rng.uniform()));
    std::vector<std::unique_ptr<AdmissionWorld::Request>> requests;
    for (int i = 0; i < 1500; ++i) {
      world.clock.advance(Milliseconds(rng.below(100)));
      if (rng.below(2) == 0) requests.push_back(world.send(*callers[rng.below(5)], rng.below(100), 1 + rng.below(100)));
      if (!requests.empty() && rng.below(2) == 0) {
        const std::size_t which = rng.below(requests.size());
        if (requests[which]->admitted && rng.below(2) == 0) requests[which]->admitted->settle(rng.below(300), rng.below(300));
        requests.erase(requests.begin() + static_cast<std::ptrdiff_t>(which));
      }
      if (rng.below(20) == 0) world.admission->set_capacity(static_cast<std::uint32_t>(1 + rng.below(20)));
      if (rng.below(3) == 0) world.settle();
      for (const auto& request : requests) ASSERT_LE(request->told, 1);
    }
    requests.clear();
    world.settle();
    EXPECT_EQ(world.admission->in_flight(), 0U);
    EXPECT_EQ(world.admission->queued(), 0U);
    world.clock.advance(Seconds(60));
    for (const auto& caller : callers) EXPECT_NE(world.fields(*caller).find("reset-tokens: 0s"), std::string::npos);
  }
}

TEST(AdmissionControl, TicketsAndWaitsMayOutliveIt) {
  AdmissionWorld world({.max_in_flight = 1});
  const auto caller = caller_of("a");
  auto first = world.send(*caller);
  auto second = world.send(*caller);
  world.admission.reset();
  first->admitted->settle(1, 1);
  first.reset();
  world.settle();
  EXPECT_EQ(second->told, 0);
  second.reset();
}

TEST(AdmissionControl, TheAdmissionMayBeDestroyedByWhoeverIsLetIn) {
  AdmissionWorld world({.max_in_flight = 1});
  const auto caller = caller_of("a");
  auto first = world.send(*caller);
  std::unique_ptr<Admission::Waiting> own;
  auto outcome = world.admission->admit({.caller = caller.get()}, [&](Admission::Outcome) {
    own.reset();
    world.admission.reset();
  });
  own = std::move(std::get<std::unique_ptr<Admission::Waiting>>(outcome));
  first.reset();
  world.settle();
  EXPECT_EQ(world.admission, nullptr);
}

}  // namespace
}  // namespace flexpert::gateway
