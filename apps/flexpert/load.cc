#include <algorithm>
#include <cstdio>

#include <fmt/format.h>
#include <unistd.h>

#include "flexpert/commands.h"
#include "flexpert/drain_on_signal.h"
#include "flexpert/exit_codes.h"
#include "flexpert/files.h"
#include "flexpert/load_figures.h"
#include "flexpert/load_generator.h"
#include "report/live_view.h"

namespace flexpert::app {

namespace {

Result<std::vector<workload::Phase>> phases_of(const LoadOptions& options, const std::vector<workload::PromptSet>& sets) {
  if (!options.phases.empty()) {
    FLEXPERT_ASSIGN(const std::string text, read_text_file(options.phases));
    return workload::parse_phases(text, options.phases);
  }
  workload::Phase phase{.name = "load", .seconds = options.duration_s, .requests_per_s = options.rate, .mix = {}, .max_tokens = options.max_tokens};
  for (const workload::PromptSet& set : sets) phase.mix.push_back({set.name, 1});
  FLEXPERT_TRY(workload::validate(phase));
  return std::vector<workload::Phase>{phase};
}

/// Shows progress every half second for as long as it lives.
class Progress {
 public:
  Progress(net::EventLoop& loop, const LoadGenerator& generator)
      : loop_(loop), generator_(generator), view_(stderr, report::Terminal::of(STDERR_FILENO)) {
    show();
  }
  ~Progress() { loop_.cancel(timer_); }

 private:
  void show() {
    const std::uint32_t index = generator_.current_phase();
    const std::string phase = index < generator_.phases().size() ? generator_.phases()[index].name : "waiting for the last answers";
    const double now = generator_.elapsed_s();
    const double window = std::clamp(now, 0.1, 5.0);
    const workload::LoadFigures recent = generator_.record().figures({.from_s = now - window});
    const workload::LoadFigures all = generator_.record().figures();
    const std::string line = fmt::format("{:6.1f} s  {}  sent {}  ended {}  failed {}  in flight {}  {:.0f} tokens/s  TTFT p95 {:.0f} ms  ITL p95 {:.1f} ms",
                                         now, phase, generator_.sent(), all.requests, all.failed, generator_.in_flight(),
                                         generator_.record().tokens_per_s(now, window), recent.ttft_p95_ms, recent.itl_p95_ms);
    view_.update({line}, line, SystemClock().now());
    timer_ = loop_.call_after(Milliseconds(500), [this] { show(); });
  }

  net::EventLoop& loop_;
  const LoadGenerator& generator_;
  report::LiveView view_;
  net::TimerId timer_ = 0;
};

Result<int> generate_load(const LoadOptions& options) {
  FLEXPERT_ASSIGN(const net::Address address, parse_base_url(options.url));
  FLEXPERT_ASSIGN(const std::vector<workload::PromptSet> sets, read_prompt_sets(options.prompts));
  FLEXPERT_ASSIGN(const std::vector<workload::Phase> phases, phases_of(options, sets));
  FLEXPERT_ASSIGN(const std::vector<workload::Arrival> arrivals, workload::plan_arrivals(phases, sets, options.seed));
  std::string model = options.model;
  if (model.empty()) {
    FLEXPERT_ASSIGN(model, first_model_of(address));
  }
  net::EventLoop loop;
  LoadGenerator generator(loop, {address, model}, phases, sets, arrivals,
                          {.temperature = options.temperature, .max_in_flight = options.concurrency, .request_timeout = from_seconds(options.timeout_s)});
  {
    const DrainOnSignal on_signal(loop, [&] { generator.stop_sending(); });
    const Progress progress(loop, generator);
    generator.start([&loop] { loop.stop(); });
    loop.run();
  }
  const report::Terminal terminal = report::Terminal::of(STDOUT_FILENO);
  if (options.json != "-") fmt::print("{}", load_table(generator.record(), phases).text(terminal.width, terminal.colours));
  for (const auto& [reason, count] : generator.record().failures()) fmt::print(stderr, "failed: {} x {}\n", count, reason);
  const std::string figures = load_figures_json(generator.record(), phases, generator.elapsed_s());
  if (options.json == "-") fmt::print("{}\n", figures);
  if (!options.json.empty() && options.json != "-") FLEXPERT_TRY(write_text_file(options.json, figures + "\n"));
  const workload::LoadFigures all = generator.record().figures();
  return all.failed == 0 && all.not_sent == 0 ? kExitOk : kExitFailure;
}

}  // namespace

int run_load(const LoadOptions& options) {
  const auto exit_code = generate_load(options);
  if (!exit_code) return fail_with("load", exit_code.error());
  return *exit_code;
}

}  // namespace flexpert::app
