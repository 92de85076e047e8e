#include <map>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "routing/cache_key.h"
#include "routing/in_flight_share.h"
#include "routing/response_cache.h"

namespace flexpert::routing {
namespace {

TimePoint at(double seconds) { return TimePoint(from_seconds(seconds)); }

CacheKey key(std::uint8_t n) {
  CacheKey made{};
  made[0] = n;
  return made;
}

std::shared_ptr<const CachedAnswer> answer(std::string body) {
  return std::make_shared<const CachedAnswer>(CachedAnswer{.content_type = "application/json", .body = std::move(body)});
}

TEST(ResponseCache, GivesWhatWasPutUntilItsTimeIsOver) {
  ResponseCache cache(1 << 20, 1 << 10, Seconds(10));
  EXPECT_TRUE(cache.put(key(1), answer("one"), at(1)));
  EXPECT_EQ(cache.find(key(1), at(10.9), false).answer->body, "one");
  EXPECT_EQ(cache.find(key(1), at(11), false).answer, nullptr);
  EXPECT_TRUE(cache.find(key(1), at(11), true).stale);
  EXPECT_EQ(cache.find(key(2), at(1), true).answer, nullptr);
}

TEST(ResponseCache, PutsOutTheLeastRecentlyUsed) {
  ResponseCache cache(3 * 1400, 2000, Seconds(100));
  for (std::uint8_t n = 1; n <= 3; ++n) cache.put(key(n), answer(std::string(1000, 'x')), at(1));
  EXPECT_NE(cache.find(key(1), at(2), false).answer, nullptr);
  cache.put(key(4), answer(std::string(1000, 'x')), at(3));
  EXPECT_EQ(cache.find(key(2), at(3), false).answer, nullptr);
  EXPECT_NE(cache.find(key(1), at(3), false).answer, nullptr);
}

TEST(ResponseCache, RefusesWhatIsTooLargeAndKeepsTheOld) {
  ResponseCache cache(1 << 20, 10, Seconds(100));
  EXPECT_TRUE(cache.put(key(1), answer("small"), at(1)));
  EXPECT_FALSE(cache.put(key(1), answer("much too large"), at(1)));
  EXPECT_EQ(cache.find(key(1), at(1), false).answer->body, "small");
}

TEST(ResponseCache, StaysWithinItsBytesUnderRandomUse) {
  Rng rng(3);
  ResponseCache cache(20'000, 5000, Seconds(50));
  std::map<std::uint8_t, std::string> put;
  for (int i = 0; i < 5000; ++i) {
    const auto n = static_cast<std::uint8_t>(rng.below(40));
    if (rng.below(2) == 0) {
      std::string body = std::to_string(i) + std::string(rng.below(6000), 'b');
      if (cache.put(key(n), answer(body), at(i))) put[n] = std::move(body);
    } else if (const auto found = cache.find(key(n), at(i), true); found.answer != nullptr) {
      ASSERT_EQ(found.answer->body, put[n]) << "never another key's or an older answer";
    }
    ASSERT_LE(cache.bytes(), 20'000U);
  }
  cache.clear();
  EXPECT_EQ(cache.bytes(), 0U);
  EXPECT_EQ(cache.entries(), 0U);
}

TEST(CacheKeyText, DiffersWheneverAnyPartDoes) {
  // Parts made of the separators themselves, so that one could be taken for the end of another.
  const std::string_view parts[] = {"", "1", "1:", "0:", "a", "1:a", "a1:", "0:0:", ":"};
  std::set<std::string> seen;
  std::size_t made = 0;
  std::string text;
  for (const auto tenant : parts)
    for (const auto rights : parts)
      for (const auto model : parts)
        for (const auto body : parts)
          for (const std::uint64_t epoch : {0U, 1U, 10U})
            for (const std::uint64_t cap : {0U, 1U}) {
              write_cache_key_text(
                  {.tenant = tenant, .rights_digest = rights, .model = model, .model_epoch = epoch, .path = "/p", .cap_max_tokens = cap},
                  body, text);
              seen.insert(text);
              ++made;
            }
  EXPECT_EQ(seen.size(), made);
}

TEST(CacheControl, AClientCanOnlyNarrow) {
  EXPECT_FALSE(parse_cache_control("").no_cache);
  EXPECT_TRUE(parse_cache_control("No-Cache").no_cache);
  EXPECT_TRUE(parse_cache_control("private , NO-STORE").no_store);
  EXPECT_TRUE(parse_cache_control("max-age=0").no_cache);
  EXPECT_FALSE(parse_cache_control("no-stored, xno-cache, only-if-cached").no_store);
  EXPECT_FALSE(parse_cache_control(",,, ,").no_cache);
}

TEST(InFlightShare, TheFirstLeadsAndTheOthersTakeItsAnswer) {
  InFlightShare share;
  EXPECT_EQ(share.join(key(1), 10), InFlightShare::Role::kLeader);
  EXPECT_EQ(share.join(key(1), 11), InFlightShare::Role::kFollower);
  EXPECT_EQ(share.join(key(1), 12), InFlightShare::Role::kFollower);
  EXPECT_EQ(share.join(key(2), 20), InFlightShare::Role::kLeader);
  share.leave(key(1), 11);
  EXPECT_EQ(share.followers(key(1), 10), 1U);
  EXPECT_EQ(share.complete(key(1), 10), std::vector<InFlightShare::Member>{12});
  EXPECT_EQ(share.join(key(1), 13), InFlightShare::Role::kLeader) << "the group is over";
}

TEST(InFlightShare, AFollowerTakesOverOnceAndThenEachIsOnItsOwn) {
  InFlightShare share;
  for (InFlightShare::Member member = 1; member <= 4; ++member) share.join(key(1), member);
  const auto first = share.fail(key(1), 1);
  EXPECT_EQ(first.leads, std::vector<InFlightShare::Member>{2});
  EXPECT_TRUE(first.alone.empty());
  EXPECT_TRUE(share.complete(key(1), 1).empty()) << "it does not lead any more";
  const auto second = share.fail(key(1), 2);
  EXPECT_TRUE(second.leads.empty());
  EXPECT_EQ(second.alone, (std::vector<InFlightShare::Member>{3, 4}));
  EXPECT_EQ(share.groups(), 0U);
}

TEST(InFlightShare, EverybodyIsServedExactlyOnceUnderRandomHistories) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    Rng rng(seed);
    InFlightShare share;
    std::map<InFlightShare::Member, std::uint8_t> leaders;
    std::map<InFlightShare::Member, std::uint8_t> followers;
    const auto served = [&](InFlightShare::Member member) { ASSERT_EQ(followers.erase(member), 1U); };
    for (InFlightShare::Member member = 1; member <= 2000; ++member) {
      const auto k = static_cast<std::uint8_t>(rng.below(5));
      (share.join(key(k), member) == InFlightShare::Role::kLeader ? leaders : followers)[member] = k;
      while (!leaders.empty() && rng.below(3) == 0) {
        const auto leader = std::next(leaders.begin(), static_cast<std::ptrdiff_t>(rng.below(leaders.size())));
        const auto [id, of] = *leader;
        leaders.erase(leader);
        if (rng.below(2) == 0) {
          for (const auto follower : share.complete(key(of), id)) served(follower);
        } else {
          const auto handover = share.fail(key(of), id);
          for (const auto next : handover.leads) {
            served(next);
            leaders[next] = of;
          }
          for (const auto alone : handover.alone) served(alone);
        }
      }
      if (!followers.empty() && rng.below(4) == 0) {
        const auto gone = std::next(followers.begin(), static_cast<std::ptrdiff_t>(rng.below(followers.size())));
        share.leave(key(gone->second), gone->first);
        followers.erase(gone);
      }
      ASSERT_EQ(share.groups(), leaders.size());
    }
    for (const auto& [id, of] : leaders)
      for (const auto follower : share.complete(key(of), id)) served(follower);
    EXPECT_TRUE(followers.empty());
    EXPECT_EQ(share.groups(), 0U);
  }
}

}  // namespace
}  // namespace flexpert::routing
