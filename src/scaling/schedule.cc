#include "scaling/schedule.h"

#include <cmath>

#include "scaling/cron.h"

namespace flexpert::scaling {
namespace {

class SchedulePolicy final : public Policy {
 public:
  SchedulePolicy(ScheduleOptions options, std::vector<CronPattern> patterns, std::vector<std::chrono::year_month_day> holidays)
      : options_(std::move(options)), patterns_(std::move(patterns)), holidays_(std::move(holidays)) {}
  [[nodiscard]] std::string_view kind() const override { return "schedule"; }

  Proposal propose(const PolicyInput& input) override {
    const std::int64_t now = input.unix_ms / 1000;
    const ScheduleEntry* best = nullptr;
    std::int64_t since = 0;
    for (std::size_t i = 0; i < options_.entries.size(); ++i) {
      const ScheduleEntry& entry = options_.entries[i];
      if (best != nullptr && (entry.priority < best->priority || (entry.priority == best->priority && entry.replicas <= best->replicas))) continue;
      const auto begin = newest_begin(patterns_[i], options_.zone, now, std::llround(entry.duration_s), entry.on_holidays ? none_ : holidays_);
      if (!begin) continue;
      best = &entry;
      since = *begin;
    }
    Proposal out;
    if (best != nullptr) {
      const double left = static_cast<double>(since - now) + best->duration_s;
      out.replicas = best->replicas;
      out.reasons.push_back({"scheduled", fmt::format("\"{}\" is in force for another {:.0f} min: {}", best->name, left / 60, best->replicas),
                             {{"replicas", best->replicas}, {"priority", best->priority}, {"left_s", left}}});
    } else if (options_.otherwise) {
      out.replicas = options_.otherwise;
      out.reasons.push_back({"off_schedule", fmt::format("no entry of the schedule is in force: {}", *options_.otherwise), {{"replicas", *options_.otherwise}}});
    }
    return out;
  }

  void save(StateWriter& writer) const override { writer.tag("schedule/1"); }
  void restore(StateReader& reader) override { reader.tag("schedule/1"); }

 private:
  ScheduleOptions options_;
  std::vector<CronPattern> patterns_;
  std::vector<std::chrono::year_month_day> holidays_;
  std::vector<std::chrono::year_month_day> none_;
};

}  // namespace

Result<std::unique_ptr<Policy>> make_schedule_policy(const ScheduleOptions& options) {
  std::vector<CronPattern> patterns;
  for (const ScheduleEntry& entry : options.entries) {
    FLEXPERT_ASSIGN(const CronPattern pattern, parse_cron(entry.cron));
    patterns.push_back(pattern);
  }
  std::vector<std::chrono::year_month_day> holidays;
  for (const std::string& text : options.holidays) {
    const auto date = parse_date(text);
    if (!date) return fail(ErrorCode::kInvalidArgument, "holidays: \"{}\" is given; allowed: a date as YYYY-MM-DD", text);
    holidays.push_back(*date);
  }
  return std::make_unique<SchedulePolicy>(options, std::move(patterns), std::move(holidays));
}

}  // namespace flexpert::scaling
