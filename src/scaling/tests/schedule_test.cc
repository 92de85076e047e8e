#include "scaling/schedule.h"

#include <gtest/gtest.h>

#include "scaling/cron.h"
#include "scaling/tests/policy_bench.h"

namespace flexpert::scaling {
namespace {

namespace chrono = std::chrono;

/// Berlin in 2026: clocks go from 2:00 to 3:00 on March 29 and from 3:00 to 2:00 on October 25, both at 1:00 UTC.
TimeZone berlin() { return {"Europe/Berlin", 3600, {{1774746000, 7200}, {1792890000, 3600}}}; }

std::int64_t utc(int month, int day, int hour, int minute = 0) {
  const chrono::sys_days date = chrono::year(2026) / month / day;
  return chrono::duration_cast<chrono::seconds>(date.time_since_epoch()).count() + hour * 3600 + minute * 60;
}

std::optional<std::int64_t> begin_of(const std::string& cron, std::int64_t at, std::int64_t within_s = 6 * 3600, const TimeZone& zone = berlin()) {
  const auto pattern = parse_cron(cron);
  EXPECT_TRUE(pattern) << cron;
  return newest_begin(*pattern, zone, at, within_s, {});
}

/// What a schedule in Berlin wants at that instant.
std::optional<std::uint32_t> wanted(ScheduleOptions options, std::int64_t at) {
  options.zone = berlin();
  auto policy = make_schedule_policy(options);
  EXPECT_TRUE(policy);
  PolicyBench bench(std::move(*policy), 1);
  bench.now = at * 1000;
  return bench.propose().replicas;
}

ScheduleEntry entry(std::string cron, double hours, std::uint32_t replicas, int priority = 0, bool on_holidays = true) {
  return {"e", std::move(cron), hours * 3600, replicas, priority, on_holidays};
}

TEST(Cron, ReadsNumbersNamesRangesStepsAndLists) {
  const auto pattern = parse_cron(" 0,30  8-10/2 1,15 jan-MAR  1-5,SUN ");
  ASSERT_TRUE(pattern) << pattern.error().message;
  EXPECT_EQ(pattern->minutes, (std::uint64_t{1} << 0) | (std::uint64_t{1} << 30));
  EXPECT_EQ(pattern->hours, (1U << 8) | (1U << 10));
  EXPECT_EQ(pattern->days, (1U << 1) | (1U << 15));
  EXPECT_EQ(pattern->months, 0b1110U);
  EXPECT_EQ(pattern->weekdays, 0b111111U);
  EXPECT_EQ(parse_cron("* * * * 7")->weekdays, 1U);
  EXPECT_EQ(parse_cron("* * * * *")->weekdays, 0x7fU);
  EXPECT_EQ(parse_cron("*/20 * * * *")->minutes, (std::uint64_t{1} << 0) | (std::uint64_t{1} << 20) | (std::uint64_t{1} << 40));
}

TEST(Cron, SaysWhichFieldIsWrong) {
  for (const char* bad : {"60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 * ", "* * * * 8", "5/2 * * * *", "*/0 * * * *", "5-1 * * * *", "a * * * *",
                          ", * * * *", "1- * * * *", "* * * FOO *", "99999999999 * * * *"}) {
    const auto pattern = parse_cron(bad);
    ASSERT_FALSE(pattern) << bad;
    EXPECT_NE(pattern.error().message.find("is given as"), std::string::npos);
  }
  EXPECT_EQ(parse_cron("* 24 * * *").error().message,
            "\"24\" is given as hour; allowed: *, a number from 0 to 23, A-B, a step /N after * or A-B, and lists of them");
  EXPECT_NE(parse_cron("* * *").error().message.find("has 3 fields"), std::string::npos);
  EXPECT_FALSE(parse_cron(""));
}

TEST(Cron, RestrictedDaysOfMonthAndWeekAreEitherAsInCron) {
  const auto either = parse_cron("0 0 13 * FRI");
  EXPECT_TRUE(names_day(*either, chrono::year(2026) / 1 / 13));  // a Tuesday
  EXPECT_TRUE(names_day(*either, chrono::year(2026) / 1 / 16));  // a Friday
  EXPECT_FALSE(names_day(*either, chrono::year(2026) / 1 / 14));
  EXPECT_FALSE(names_day(*parse_cron("0 0 * * FRI"), chrono::year(2026) / 1 / 13));
}

TEST(Cron, FindsTheNewestBegin) {
  EXPECT_EQ(begin_of("0 8 * * *", utc(1, 5, 9)), utc(1, 5, 7));  // 8:00 in Berlin
  EXPECT_EQ(begin_of("0 8 * * *", utc(1, 5, 7)), utc(1, 5, 7));
  EXPECT_EQ(begin_of("0 8 * * *", utc(1, 5, 6, 59)), std::nullopt);
  EXPECT_EQ(begin_of("0 8 * * *", utc(1, 5, 13)), std::nullopt) << "six hours are over";
  EXPECT_EQ(begin_of("*/10 * * * *", utc(1, 5, 7, 25)), utc(1, 5, 7, 20));
  EXPECT_EQ(begin_of("0 8 * 2 *", utc(1, 5, 9)), std::nullopt);
}

TEST(Cron, AMinuteThatIsLeftOutBeginsAtTheChange) {
  EXPECT_EQ(begin_of("30 2 29 3 *", utc(3, 29, 3)), utc(3, 29, 1));
  EXPECT_EQ(begin_of("30 3 29 3 *", utc(3, 29, 3)), utc(3, 29, 1, 30));
  EXPECT_EQ(begin_of("30 1 29 3 *", utc(3, 29, 3)), utc(3, 29, 0, 30));
}

TEST(Cron, AMinuteThatComesTwiceBeginsAtTheFirstUnlessEveryHourIsNamed) {
  EXPECT_EQ(begin_of("30 2 25 10 *", utc(10, 25, 2)), utc(10, 25, 0, 30));
  EXPECT_EQ(begin_of("30 * 25 10 *", utc(10, 25, 1, 45)), utc(10, 25, 1, 30));
  EXPECT_EQ(begin_of("30 3 25 10 *", utc(10, 25, 3)), utc(10, 25, 2, 30));
}

TEST(Cron, AgreesWithASearchMinuteByMinute) {
  for (const char* text : {"0 8 * * *", "15,45 1-3 * * *", "30 2 * * SUN", "0 */5 * * *", "59 23 25 10 *"}) {
    const auto pattern = parse_cron(text);
    for (const std::int64_t around : {utc(3, 29, 1), utc(10, 25, 1), utc(7, 1, 0)}) {
      std::optional<std::int64_t> newest;
      for (std::int64_t at = around - 30 * 3600; at < around + 30 * 3600; at += 60) {
        const std::int64_t local = at + berlin().offset_at(at);
        const auto date = chrono::floor<chrono::days>(chrono::sys_seconds(chrono::seconds(local)));
        const auto of_day = local - chrono::duration_cast<chrono::seconds>(date.time_since_epoch()).count();
        const bool left_out = at == utc(3, 29, 1) && (pattern->hours >> 2 & 1) != 0 && names_day(*pattern, date);
        const bool repeated = at >= utc(10, 25, 1) && at < utc(10, 25, 2) && !pattern->every_hour;
        const bool named = names_day(*pattern, date) && (pattern->hours >> (of_day / 3600) & 1) != 0 && (pattern->minutes >> (of_day / 60 % 60) & 1) != 0;
        if (left_out || (named && !repeated)) newest = at;
        const auto within = newest && *newest > at - 4 * 3600 ? newest : std::nullopt;
        if (at < around - 26 * 3600) continue;
        ASSERT_EQ(newest_begin(*pattern, berlin(), at, 4 * 3600, {}), within) << text << " at " << at;
      }
    }
  }
}

TEST(Schedule, IsInForceForItsDurationAlsoAcrossMidnight) {
  const ScheduleOptions options{{}, {entry("0 22 * * MON-FRI", 8, 5)}, {}, 1};
  EXPECT_EQ(wanted(options, utc(1, 9, 20, 59)), 1U);  // Friday
  EXPECT_EQ(wanted(options, utc(1, 9, 21)), 5U);
  EXPECT_EQ(wanted(options, utc(1, 10, 4, 59)), 5U);  // Saturday, 5:59 in Berlin
  EXPECT_EQ(wanted(options, utc(1, 10, 5)), 1U);
  EXPECT_EQ(wanted(options, utc(1, 10, 22)), 1U);
}

TEST(Schedule, DurationsAreRealTimeAlsoWhereClocksChange) {
  const ScheduleOptions options{{}, {entry("0 0 * * *", 4, 5)}, {}, 1};
  EXPECT_EQ(wanted(options, utc(3, 29, 2, 59)), 5U);  // from 23:00 UTC; 4:59 on the clock
  EXPECT_EQ(wanted(options, utc(3, 29, 3)), 1U);
  EXPECT_EQ(wanted(options, utc(10, 25, 1, 59)), 5U);  // from 22:00 UTC; 2:59 for the second time
  EXPECT_EQ(wanted(options, utc(10, 25, 2)), 1U);
}

TEST(Schedule, OverlappingEntriesGoByPriorityThenByReplicas) {
  const ScheduleOptions options{{}, {entry("0 8 * * *", 10, 4), entry("0 12 * * *", 2, 9), entry("0 13 * * *", 1, 2, 1)}, {}, {}};
  EXPECT_EQ(wanted(options, utc(1, 5, 8)), 4U);
  EXPECT_EQ(wanted(options, utc(1, 5, 11, 30)), 9U);
  EXPECT_EQ(wanted(options, utc(1, 5, 12, 30)), 2U);
  EXPECT_EQ(wanted(options, utc(1, 5, 20)), std::nullopt) << "no opinion outside";
}

TEST(Schedule, HolidaysBeginNothingAndWhatBeganTheDayBeforeGoesOn) {
  const ScheduleOptions options{{}, {entry("0 22 * * *", 8, 5, 0, false)}, {"2026-01-06"}, 1};
  EXPECT_EQ(wanted(options, utc(1, 6, 4)), 5U);
  EXPECT_EQ(wanted(options, utc(1, 6, 22)), 1U);
  EXPECT_EQ(wanted(options, utc(1, 7, 4)), 1U);
  EXPECT_EQ(wanted(options, utc(1, 7, 22)), 5U);
}

TEST(Schedule, DatesThatAreNotThereAreRefused) {
  for (const char* bad : {"2026-02-29", "2026-13-01", "26-01-01", "2026/01/01", "2026-1-001", ""}) EXPECT_FALSE(parse_date(bad)) << bad;
  EXPECT_TRUE(parse_date("2028-02-29"));
  EXPECT_FALSE(make_schedule_policy({{}, {entry("0 8 * *", 1, 1)}, {}, {}}));
  EXPECT_FALSE(make_schedule_policy({{}, {}, {"tomorrow"}, 1}));
}

}  // namespace
}  // namespace flexpert::scaling
