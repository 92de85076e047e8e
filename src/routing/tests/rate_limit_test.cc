#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "routing/rate_limit.h"

namespace flexpert::routing {
namespace {

TimePoint at(double seconds) { return TimePoint(from_seconds(seconds)); }

TEST(RateBucket, GivesAMinutesWorthAtOnceAndThenAtTheRate) {
  RateBucket bucket(60);
  for (int i = 0; i < 60; ++i) EXPECT_TRUE(bucket.try_take(1, at(10)));
  EXPECT_FALSE(bucket.try_take(1, at(10)));
  EXPECT_EQ(bucket.until(1, at(10)), Seconds(1));
  EXPECT_FALSE(bucket.try_take(1, at(10) + Seconds(1) - Duration(1)));
  EXPECT_TRUE(bucket.try_take(1, at(11)));
}

TEST(RateBucket, WithoutALimitGivesEverything) {
  RateBucket bucket;
  EXPECT_TRUE(bucket.try_take(std::numeric_limits<std::uint64_t>::max(), at(1)));
  EXPECT_EQ(bucket.until_full(at(1)), Duration::zero());
}

TEST(RateBucket, TimeThatGoesBackwardsCountsAsStandingStill) {
  RateBucket bucket(60);
  ASSERT_TRUE(bucket.try_take(60, at(100)));
  EXPECT_EQ(bucket.remaining(at(1)), 0U);
  EXPECT_EQ(bucket.remaining(at(99)), 0U);
  EXPECT_EQ(bucket.remaining(at(102)), 2U);
}

TEST(RateBucket, HugeLimitsAndAmountsDoNotOverflow) {
  constexpr auto kHuge = std::numeric_limits<std::uint64_t>::max();
  RateBucket bucket(kHuge);
  EXPECT_TRUE(bucket.try_take(kHuge, at(1)));
  EXPECT_FALSE(bucket.has(1, at(1)));
  for (int i = 0; i < 1000; ++i) bucket.charge(kHuge, at(1));
  EXPECT_EQ(bucket.remaining(at(1)), 0U);
  EXPECT_GT(bucket.until(1, at(1)), Seconds(50'000));
  EXPECT_EQ(bucket.remaining(TimePoint(std::chrono::hours(24 * 365 * 200))), std::uint64_t{1} << 50);
}

TEST(RateBucket, DebtIsPaidBackBeforeAnythingIsGiven) {
  RateBucket bucket(60);
  bucket.charge(180, at(0.5));
  EXPECT_EQ(bucket.until(1, at(0.5)), Seconds(121));
  EXPECT_FALSE(bucket.try_take(1, at(121)));
  EXPECT_TRUE(bucket.try_take(1, at(121.5)));
}

TEST(RateBucket, AskingOftenLosesNothingToRounding) {
  RateBucket asked(7);
  RateBucket left_alone(7);
  asked.charge(7, at(0));
  left_alone.charge(7, at(0));
  for (int i = 1; i <= 100'000; ++i) (void)asked.remaining(TimePoint(Duration(i * 333'333LL)));
  const TimePoint end(Duration(100'000LL * 333'333));
  EXPECT_EQ(asked.until_full(end), left_alone.until_full(end));
}

TEST(RateBucket, ANewLimitKeepsWhatWasTaken) {
  RateBucket bucket(100);
  ASSERT_TRUE(bucket.try_take(80, at(1)));
  bucket.set_limit(200, at(1));
  EXPECT_EQ(bucket.remaining(at(1)), 120U);
  bucket.set_limit(50, at(1));
  EXPECT_EQ(bucket.remaining(at(1)), 0U);
}

TEST(RateBucket, NeverGivesMoreThanItsRateInAnyStretchOfTime) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    Rng rng(seed);
    const std::uint64_t limit = 1 + rng.below(5000);
    RateBucket bucket(limit);
    std::vector<std::pair<double, double>> taken;
    double now = 0;
    double latest = 0;
    for (int i = 0; i < 600; ++i) {
      now += rng.exponential(0.3);
      const std::uint64_t amount = 1 + rng.below(limit / 5 + 1);
      // Some clocks jump back; it must not help.
      const double seen = rng.below(10) == 0 ? std::max(0.0, now - 5) : now;
      latest = std::max(latest, seen);
      if (bucket.try_take(amount, at(seen))) taken.emplace_back(latest, static_cast<double>(amount));
    }
    for (std::size_t from = 0; from < taken.size(); ++from) {
      double sum = 0;
      for (std::size_t to = from; to < taken.size(); ++to) {
        sum += taken[to].second;
        ASSERT_LE(sum, static_cast<double>(limit) * (1 + (taken[to].first - taken[from].first) / 60) + 1e-3) << "seed " << seed;
      }
    }
  }
}

TEST(TenantRates, ChecksPlacesThenRequestsThenTokens) {
  TenantRates rates({.requests_per_minute = 2, .tokens_per_minute = 100, .concurrency = 1});
  EXPECT_EQ(rates.check(101, at(1)), RateVerdict::kTooLarge);
  EXPECT_EQ(rates.check(60, at(1)), RateVerdict::kOk);
  rates.take(60);
  EXPECT_EQ(rates.check(10, at(1)), RateVerdict::kConcurrency);
  rates.leave();
  EXPECT_EQ(rates.check(60, at(1)), RateVerdict::kTokens);
  EXPECT_EQ(rates.wait(60, at(1)), Seconds(12));
  ASSERT_EQ(rates.check(10, at(1)), RateVerdict::kOk);
  rates.take(10);
  rates.leave();
  EXPECT_EQ(rates.check(1, at(1)), RateVerdict::kRequests);
}

TEST(TenantRates, SettlingPutsBackAtMostWhatWasReserved) {
  TenantRates rates({.tokens_per_minute = 1000});
  ASSERT_EQ(rates.check(400, at(1)), RateVerdict::kOk);
  rates.take(400);
  rates.settle(400, 100, at(1));
  EXPECT_EQ(rates.tokens(at(1)).remaining, 900U);
  rates.settle(0, 0, at(1));
  EXPECT_EQ(rates.tokens(at(1)).remaining, 900U);
  ASSERT_EQ(rates.check(100, at(1)), RateVerdict::kOk);
  rates.take(100);
  rates.settle(100, 2000, at(1));
  EXPECT_EQ(rates.tokens(at(1)).remaining, 0U);
  EXPECT_EQ(rates.check(1, at(60)), RateVerdict::kTokens) << "what was used beyond the reservation is owed";
}

TEST(TenantRates, RealUseIsBoundedUnderRandomHistories) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    Rng rng(seed);
    const std::uint64_t limit = 1000 + rng.below(100'000);
    TenantRates rates({.tokens_per_minute = limit});
    std::vector<std::pair<std::uint64_t, std::uint64_t>> inside;  // reserved, used
    double now = 0;
    double used_sum = 0;
    double beyond = 0;
    for (int i = 0; i < 3000; ++i) {
      now += rng.exponential(0.05);
      if (rng.below(2) == 0) {
        const std::uint64_t reserved = 1 + rng.below(limit / 10);
        if (rates.check(reserved, at(now)) != RateVerdict::kOk) continue;
        rates.take(reserved);
        inside.emplace_back(reserved, rng.below(reserved * 11 / 10 + 2));
      } else if (!inside.empty()) {
        const auto [reserved, used] = inside.back();
        inside.pop_back();
        rates.settle(reserved, used, at(now));
        rates.leave();
        used_sum += static_cast<double>(used);
        if (used > reserved) beyond += static_cast<double>(used - reserved);
        ASSERT_LE(used_sum, static_cast<double>(limit) * (1 + now / 60) + beyond + 1) << "seed " << seed;
      }
    }
    EXPECT_EQ(rates.inside(), inside.size());
  }
}

TEST(TenantRates, ARequestThatTheGatewayRefusesAfterAllCostsNothing) {
  TenantRates rates({.requests_per_minute = 10, .tokens_per_minute = 1000});
  ASSERT_EQ(rates.check(700, at(1)), RateVerdict::kOk);
  rates.take(700);
  rates.undo(700, at(1));
  rates.leave();
  EXPECT_TRUE(rates.idle(at(1)));
}

TEST(RateText, RetryAfterIsRoundedUpToWholeSeconds) {
  EXPECT_EQ(retry_after_s(Duration(0)), 1);
  EXPECT_EQ(retry_after_s(Seconds(3)), 3);
  EXPECT_EQ(retry_after_s(Seconds(3) + Duration(1)), 4);
  EXPECT_EQ(retry_after_s(Duration::max()), std::numeric_limits<int>::max());
}

TEST(RateText, ResetIsWrittenAsOpenAiDoes) {
  const auto text = [](Duration duration) {
    char out[kResetBytes];
    return std::string(out, write_reset(out, duration));
  };
  EXPECT_EQ(text(Duration(0)), "0s");
  EXPECT_EQ(text(Duration(1)), "1ms");
  EXPECT_EQ(text(Milliseconds(120)), "120ms");
  EXPECT_EQ(text(Milliseconds(8640)), "8.64s");
  EXPECT_EQ(text(Seconds(90)), "1m30s");
  EXPECT_EQ(text(Seconds(360)), "6m0s");
  EXPECT_EQ(text(std::chrono::hours(2) + Seconds(301)), "2h5m1s");
  EXPECT_EQ(text(Milliseconds(1001)), "1.001s");
  EXPECT_EQ(text(Milliseconds(1500)), "1.5s");
  EXPECT_LE(text(Duration::max()).size(), kResetBytes);
}

}  // namespace
}  // namespace flexpert::routing
