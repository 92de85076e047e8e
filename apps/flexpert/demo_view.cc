#include "flexpert/demo_view.h"

#include <algorithm>

#include <fmt/format.h>
#include <unistd.h>

#include "report/fleet_tables.h"
#include "report/sparkline.h"

namespace flexpert::app {

namespace {

constexpr double kRecentSeconds = 5;
constexpr std::size_t kHottestShown = 6;
constexpr std::size_t kHistoryShown = 40;
constexpr std::size_t kLongestLine = 240;

using report::Style;

bool worth_telling(const Action& action) { return action.kind != ActionKind::kPlacement; }

}  // namespace

DemoView::DemoView(const LoadGenerator& generator, const FleetWatch& watch)
    : generator_(generator), watch_(watch), view_(stdout, report::Terminal::of(STDOUT_FILENO)) {}

DemoView::Recent DemoView::recent() const {
  const double now = generator_.elapsed_s();
  const double window = std::clamp(now, 0.1, kRecentSeconds);
  return {generator_.record().figures({.from_s = now - window}), generator_.record().tokens_per_s(now, window)};
}

void DemoView::show() {
  const Recent now = recent();
  if (generator_.elapsed_s() >= next_history_s_) {
    tokens_history_.push_back(now.tokens_per_s);
    itl_history_.push_back(now.load.itl_p95_ms);
    next_history_s_ += 1;
  }
  if (view_.terminal().interactive) {
    const report::Terminal current = report::Terminal::of(STDOUT_FILENO);
    view_.set_size(current.width, current.height);
  }
  view_.update(frame(now), plain_line(now), SystemClock().now());
}

void DemoView::tell(const Decision& decision, double at_s) {
  last_decision_ = report::summary(decision);
  last_decision_at_s_ = at_s;
  if (std::none_of(decision.actions.begin(), decision.actions.end(), worth_telling)) return;
  std::size_t ups = 0;
  std::size_t downs = 0;
  for (const Action& action : decision.actions) {
    ups += action.kind == ActionKind::kExpertScaleUp ? 1 : 0;
    downs += action.kind == ActionKind::kExpertScaleDown ? 1 : 0;
  }
  std::string counts;
  if (ups > 0) counts += fmt::format(" {} up", ups);
  if (downs > 0) counts += fmt::format(" {} down", downs);
  const std::string line = fmt::format("[{:6.1f} s] decision #{}{}: {}", at_s, decision.cycle, counts, last_decision_);
  const Style style = ups > 0 ? Style::kYellow : downs > 0 ? Style::kCyan : Style::kDim;
  view_.print(report::styled(report::cut_to_width(line, kLongestLine), style, view_.terminal().colours));
}

std::string DemoView::phase_line() const {
  const std::uint32_t index = generator_.current_phase();
  const auto& phases = generator_.phases();
  if (index >= phases.size()) return "waiting for the last answers";
  double begin = 0;
  for (std::uint32_t i = 0; i < index; ++i) begin += phases[i].seconds;
  const double into = generator_.elapsed_s() - begin;
  return fmt::format("{} ({} of {})  {} {:.0f} of {:.0f} s, {} requests/s", phases[index].name, index + 1, phases.size(),
                     report::bar(into / phases[index].seconds, 20), into, phases[index].seconds, phases[index].requests_per_s);
}

std::string DemoView::servers_text() const {
  const FleetSnapshot& fleet = watch_.status().snapshot;
  const auto count = [&](InstanceState state) { return report::count_instances(fleet, InstanceRole::kExpertServer, state); };
  std::string text = fmt::format("{} ready, {} warm", count(InstanceState::kReady), count(InstanceState::kWarm));
  if (const std::size_t n = count(InstanceState::kStarting); n > 0) text += fmt::format(", {} starting", n);
  if (const std::size_t n = count(InstanceState::kDraining); n > 0) text += fmt::format(", {} draining", n);
  if (const std::size_t n = count(InstanceState::kFailed); n > 0) text += fmt::format(", {} failed", n);
  return text;
}

std::string DemoView::hottest_text() const {
  std::string text;
  for (const ExpertStatus& expert : report::hottest_experts(watch_.status().snapshot, 2))
    text += fmt::format("{}L{}/E{} {:.0f} rows/s x{} {:.2f}", text.empty() ? "" : ", ", expert.slot.layer, expert.slot.expert, expert.rows_per_s,
                        expert.replicas, expert.utilisation);
  return text.empty() ? "not measured yet" : text;
}

std::vector<std::string> DemoView::frame(const Recent& now) const {
  const bool colours = view_.terminal().colours;
  const workload::LoadFigures all = generator_.record().figures();
  std::vector<std::string> lines{""};
  lines.push_back(report::styled("phase           ", Style::kBold, colours) + phase_line());
  lines.push_back(report::styled("requests        ", Style::kBold, colours) +
                  fmt::format("{} answered, {} in flight, ", all.requests - all.failed, generator_.in_flight()) +
                  report::styled(fmt::format("{} failed", all.failed), all.failed > 0 ? Style::kRed : Style::kGreen, colours));
  lines.push_back(report::styled("tokens/s        ", Style::kBold, colours) +
                  fmt::format("{:<22.0f}{}", now.tokens_per_s, report::sparkline(tokens_history_, kHistoryShown)));
  lines.push_back(report::styled("TTFT p50 / p95  ", Style::kBold, colours) + fmt::format("{:.0f} / {:.0f} ms", now.load.ttft_p50_ms, now.load.ttft_p95_ms));
  const std::string itl = fmt::format("{:.1f} / {:.1f} ms", now.load.itl_p50_ms, now.load.itl_p95_ms);
  lines.push_back(report::styled("ITL  p50 / p95  ", Style::kBold, colours) + fmt::format("{:<22}{}", itl, report::sparkline(itl_history_, kHistoryShown)));
  lines.push_back(report::styled("expert servers  ", Style::kBold, colours) + servers_text());
  lines.emplace_back("");
  const auto hottest = report::expert_table(report::hottest_experts(watch_.status().snapshot, kHottestShown)).lines(view_.terminal().width, colours);
  lines.insert(lines.end(), hottest.begin(), hottest.end());
  for (std::size_t i = hottest.size(); i <= kHottestShown; ++i) lines.emplace_back("");
  lines.emplace_back("");
  lines.push_back(report::styled("last decision   ", Style::kBold, colours) +
                  (last_decision_.empty() ? std::string("none yet")
                                          : fmt::format("{:.0f} s ago: {}", std::max(0.0, generator_.elapsed_s() - last_decision_at_s_), last_decision_)));
  return lines;
}

std::string DemoView::plain_line(const Recent& now) const {
  const std::uint32_t index = generator_.current_phase();
  const std::string phase = index < generator_.phases().size() ? generator_.phases()[index].name : "last answers";
  const workload::LoadFigures all = generator_.record().figures();
  return fmt::format("[{:6.1f} s] {:<11} answered {:4} failed {}  {:4.0f} tokens/s  TTFT {:.0f}/{:.0f} ms  ITL {:.1f}/{:.1f} ms  servers: {}  hottest: {}",
                     generator_.elapsed_s(), phase, all.requests - all.failed, all.failed, now.tokens_per_s, now.load.ttft_p50_ms, now.load.ttft_p95_ms,
                     now.load.itl_p50_ms, now.load.itl_p95_ms, servers_text(), hottest_text());
}

}  // namespace flexpert::app
