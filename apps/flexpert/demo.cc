#include <cstdio>
#include <filesystem>

#include <fmt/format.h>
#include <unistd.h>

#include "flexpert/commands.h"
#include "flexpert/demo_figures.h"
#include "flexpert/demo_phases.h"
#include "flexpert/demo_view.h"
#include "flexpert/drain_on_signal.h"
#include "flexpert/embedded_fleet.h"
#include "flexpert/exit_codes.h"
#include "flexpert/files.h"
#include "flexpert/fleet_watch.h"
#include "flexpert/load_generator.h"
#include "flexpert/log_setup.h"
#include "flexpert/secure_route_calls.h"
#include "report/fleet_tables.h"

namespace flexpert::app {

namespace {

constexpr Duration kReadyTimeout = Seconds(330);
constexpr Duration kRedraw = Milliseconds(250);

Result<std::vector<workload::PromptSet>> prompt_sets_of(const config::ModelConfig& model) {
  std::vector<std::string> paths;
  for (const char* name : {"code", "math", "dialogue", "prose"})
    paths.push_back((std::filesystem::path(model.path) / "prompts" / (std::string(name) + ".json")).string());
  return read_prompt_sets(paths);
}

/// The quick start's story, step by step, on one loop. The fleet runs on threads of its own.
class Demo {
 public:
  Demo(net::EventLoop& loop, EmbeddedFleet& fleet, std::vector<workload::Phase> phases,
       std::vector<workload::PromptSet> sets, std::vector<workload::Arrival> arrivals)
      : loop_(loop),
        fleet_(fleet),
        generator_(loop, {fleet.gateway_address(), fleet.config().model->name}, std::move(phases), std::move(sets), std::move(arrivals), {}),
        watch_(loop, *fleet.controller_address()),
        client_(loop, {}),
        calls_(client_, fleet.gateway_address()),
        view_(generator_, watch_) {}
  ~Demo() { loop_.cancel(redraw_); }

  /// Plays it all; calls `done` at its end.
  void play(std::function<void()> done) {
    done_ = std::move(done);
    introduce();
    start_unix_ms_ = SystemClock().unix_ms();
    watch_.start([this](const Decision& decision) { view_.tell(decision, static_cast<double>(decision.unix_ms - start_unix_ms_) / 1000); });
    generator_.start([this] { finish(); });
    tick();
  }

  void interrupt() {
    interrupted_ = true;
    generator_.stop_sending();
  }
  [[nodiscard]] bool interrupted() const { return interrupted_; }
  [[nodiscard]] const DemoFigures& figures() const { return figures_; }

 private:
  void introduce() {
    const config::ModelConfig& model = *fleet_.config().model;
    view_.print(fmt::format("Fleet is up: gateway http://{}, controller http://{}", fleet_.gateway_address().to_string(),
                            fleet_.controller_address()->to_string()));
    if (model.expert_servers.pace_rows_per_s > 0)
      view_.print(fmt::format("Paced: every expert server computes for real, and stands for an accelerator of {:.0f} expert rows/s.",
                              model.expert_servers.pace_rows_per_s));
    view_.print("Traffic changes its kind from phase to phase, so other experts run hot. Watch latency rise, replicas follow, latency come back.");
    view_.print("");
  }

  void tick() {
    view_.show();
    const std::uint32_t phase = generator_.current_phase();
    if (!invited_ && !interrupted_ && phase < generator_.phases().size() && generator_.phases()[phase].name == kYourTurn) {
      invited_ = true;
      calls_.run([this](const std::vector<SecureRouteCall>& calls) { show_calls(calls); });
    }
    redraw_ = loop_.call_after(kRedraw, [this] { tick(); });
  }

  void show_calls(const std::vector<SecureRouteCall>& calls) {
    view_.print("");
    view_.print("Secure routing, against the same expert servers (C is of high security):");
    for (const SecureRouteCall& call : calls) {
      view_.print("  $ " + call.command);
      view_.print(fmt::format("    HTTP {}: {}", call.status, call.answer));
    }
    view_.print("");
    view_.print("Your turn: kill a process from another terminal and see that no request fails.");
    for (const InstanceStatus& instance : watch_.status().snapshot.instances)
      if (instance.pid > 0 && instance.role == InstanceRole::kExpertServer) view_.print(fmt::format("  kill -9 {:<8} # {} ({})", instance.pid, instance.id, name_of(instance.state)));
    view_.print("");
  }

  void finish() {
    loop_.cancel(redraw_);
    watch_.stop();
    view_.show();
    view_.end();
    figures_ = make_demo_figures(generator_.record(), generator_.phases(), watch_.decisions(), start_unix_ms_);
    figures_.seconds = generator_.elapsed_s();
    figures_.calls = calls_.calls();
    figures_.most_expert_servers = watch_.most_expert_servers();
    const FleetSnapshot fleet = fleet_.snapshot();
    figures_.paced = report::is_paced(fleet);
    for (const InstanceStatus& instance : fleet.instances) figures_.restarts += instance.restarts;
    summarise();
    done_();
  }

  void summarise() {
    const report::Terminal& terminal = view_.terminal();
    fmt::print("\nSummary{}\n{}\n", figures_.paced ? " (paced)" : "", demo_table(figures_).text(terminal.interactive ? terminal.width : 200, terminal.colours));
    fmt::print("Expert servers: {} at most. Restarted after a crash: {}.\n", figures_.most_expert_servers, figures_.restarts);
    if (const DemoPhaseFigures* scaled = figures_.scaled_phase(); scaled != nullptr)
      fmt::print("In the phase \"{}\" the ITL p95 went from {:.1f} ms before the scale-up to {:.1f} ms after it.\n", scaled->name, *scaled->itl_p95_before_ms,
                 *scaled->itl_p95_after_ms);
    for (const auto& [reason, count] : generator_.record().failures()) fmt::print("failed: {} x {}\n", count, reason);
    std::fflush(stdout);
  }

  net::EventLoop& loop_;
  EmbeddedFleet& fleet_;
  LoadGenerator generator_;
  FleetWatch watch_;
  http::Client client_;
  SecureRouteCalls calls_;
  DemoView view_;
  std::function<void()> done_;
  net::TimerId redraw_ = 0;
  std::int64_t start_unix_ms_ = 0;
  bool invited_ = false;
  bool interrupted_ = false;
  DemoFigures figures_;
};

Result<int> play_demo(const DemoOptions& options) {
  FLEXPERT_ASSIGN(config::FleetConfig config, config::load_file(options.config));
  if (!config.model) return fail(ErrorCode::kInvalidArgument, "configuration has no `model:` section; take examples/first-fleet.yaml: {}", options.config);
  FLEXPERT_ASSIGN(std::vector<workload::PromptSet> sets, prompt_sets_of(*config.model));
  std::vector<workload::Phase> phases = demo_phases(options.fast);
  FLEXPERT_ASSIGN(std::vector<workload::Arrival> arrivals, workload::plan_arrivals(phases, sets, options.seed));
  FLEXPERT_ASSIGN(PreparedFleet prepared, prepare_fleet(std::move(config), options.config));

  net::EventLoop loop;
  std::unique_ptr<EmbeddedFleet> fleet;
  std::unique_ptr<Demo> demo;
  bool stopping = false;
  Result<void> outcome;
  const auto stop = [&] {
    if (std::exchange(stopping, true)) return;
    fleet->shutdown(loop, [&loop] { loop.stop(); });
  };
  bool played = false;
  const DrainOnSignal on_signal(loop, [&] {
    if (demo && !played) return demo->interrupt();
    stop();
  });
  FLEXPERT_ASSIGN(fleet, EmbeddedFleet::start(std::move(prepared), options.config));
  const auto at_end = [&] {
    played = true;
    const DemoFigures& figures = demo->figures();
    if (!options.json.empty()) outcome = write_text_file(options.json, to_json(figures) + "\n");
    if (!options.keep || demo->interrupted()) return stop();
    fmt::print("\nThe fleet goes on running: http://{} (see `flexpert status`). Ctrl-C stops it.\n", fleet->gateway_address().to_string());
    std::fflush(stdout);
  };
  fleet->when_ready(loop, kReadyTimeout, [&](Result<void> ready) {
    if (stopping) return;
    if (!ready) {
      outcome = std::move(ready);
      return stop();
    }
    demo = std::make_unique<Demo>(loop, *fleet, std::move(phases), std::move(sets), std::move(arrivals));
    demo->play(at_end);
  });
  loop.run();
  FLEXPERT_TRY(std::move(outcome));
  if (!demo || demo->interrupted()) return fail(ErrorCode::kCancelled, "interrupted");
  if (const std::string problem = demo->figures().problem(); !problem.empty()) return fail(ErrorCode::kFailedPrecondition, "{}", problem);
  demo.reset();
  return kExitOk;
}

}  // namespace

int run_demo(const DemoOptions& options) {
  configure_log("error", "demo");
  const auto exit_code = play_demo(options);
  if (!exit_code) return fail_with("demo", exit_code.error());
  return *exit_code;
}

}  // namespace flexpert::app
