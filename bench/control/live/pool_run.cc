#include "live/pool_run.h"

#include <csignal>
#include <filesystem>

#include <fmt/format.h>

namespace flexpert::bench {
namespace {

namespace json = boost::json;

// A step of 30 ms and a millisecond a token, four sequences at most: an instance makes about 110 tokens a second, whatever the
// machine, as long as the machine's own work is small beside it.
constexpr const char* kPace = R"({"base_ms": 30, "per_token_us": 1000})";

std::string config_of(const PoolRunSettings& settings, const std::string& model, const std::string& pace, const std::string& runtime,
                      const std::string& gateway, const std::string& probes, const std::string& controller) {
  std::string text = fmt::format("access: {{anonymous: true}}\ngateway:\n  listen: {}\n  metrics_listen: {}\n{}controller:\n  listen: {}\n", gateway, probes,
                                 settings.separate ? fmt::format("  controller: {}\n", controller) : "", controller);
  text += fmt::format("runtime_dir: {}\nplanner:\n  interval_s: {}\n  gpu_budget: {}\n", runtime, settings.interval_s, settings.max);
  if (!settings.prometheus.empty()) text += fmt::format("  prometheus: {{url: \"{}\", timeout_s: 2}}\n", settings.prometheus);
  text += fmt::format("pools:\n  - name: chat\n    min: {}\n    max: {}\n    never_ready_s: {}\n    max_metric_age_s: {}\n    stabilisation: {}\n", settings.min,
                      settings.max, settings.never_ready_s, settings.max_metric_age_s, settings.stabilisation);
  text += fmt::format("    policies: {}\n", settings.policies.empty() ? "[{name: hand, kind: manual, replicas: 1}]" : settings.policies);
  text += fmt::format("    sensors: {}\n    launch: {}\n", settings.sensors,
                      !settings.launch.empty() ? settings.launch
                                               : fmt::format("{{model: {}, pace: {}, max_batch: 4, kv_blocks: 256, drain_deadline_s: 30}}", model, pace));
  return text;
}

}  // namespace

Result<std::unique_ptr<PoolRun>> PoolRun::start(net::EventLoop& loop, const std::string& program, const std::string& model,
                                                const PoolRunSettings& settings, bool wait) {
  std::unique_ptr<PoolRun> run(new PoolRun(loop, program));
  const std::filesystem::path folder = std::filesystem::absolute(model);
  run->model_ = (folder.has_filename() ? folder : folder.parent_path()).filename().string();
  run->separate_ = settings.separate;
  run->runtime_ = run->folder_.path() + "/run";
  FLEXPERT_ASSIGN(const std::uint16_t gateway_port, free_port());
  FLEXPERT_ASSIGN(const std::uint16_t probes_port, free_port());
  FLEXPERT_ASSIGN(const std::uint16_t controller_port, free_port());
  run->gateway_ = {.is_unix = false, .host_or_path = "127.0.0.1", .port = gateway_port};
  const net::Address probes{.is_unix = false, .host_or_path = "127.0.0.1", .port = probes_port};
  run->controller_ = {.is_unix = false, .host_or_path = "127.0.0.1", .port = controller_port};
  run->config_ = run->folder_.write("fleet.yaml", config_of(settings, folder.string(), run->folder_.write("pace.json", kPace), run->runtime_,
                                                            run->gateway_.to_string(), probes.to_string(), run->controller_.to_string()));
  FLEXPERT_TRY(run->start_controller());
  if (settings.separate) {
    FLEXPERT_ASSIGN(run->relay_, LiveProcess::start(loop, {program, "gateway", "-c", run->config_, "--log-level", "error"}));
    FLEXPERT_ASSIGN(const std::string line, run->relay_->wait_for_line("gateway listening", Seconds(20)));
  }
  if (wait) {
    const auto answers = [&] { return ask(probes, "GET", "/ready").has_value(); };
    FLEXPERT_TRY(run_until(loop, answers, Seconds(60), "the gateway to be ready"));
  }
  return run;
}

PoolRun::~PoolRun() {
  // What a killed controller left running must not stay behind a measurement that was broken off.
  if (fleet_ != nullptr && !fleet_->ended()) (void)fleet_->end(SIGTERM);
}

Result<void> PoolRun::start_controller() {
  const std::vector<std::string> argv = separate_ ? std::vector<std::string>{program_, "controller", "-c", config_, "--log-level", "info"}
                                                  : std::vector<std::string>{program_, "up", "-c", config_, "--log-level", "info"};
  FLEXPERT_ASSIGN(fleet_, LiveProcess::start(loop_, argv));
  const auto listens = [this] { return fleet_->ended() || ask(controller_, "GET", "/health").has_value(); };
  FLEXPERT_TRY(run_until(loop_, listens, Seconds(60), "the controller to listen"));
  if (fleet_->ended()) return fail(ErrorCode::kUnavailable, "the controller ended: {}", fleet_->lines().empty() ? "" : fleet_->lines().back());
  return {};
}

Result<void> PoolRun::kill_controller() { return fleet_->end(SIGKILL); }

Result<json::value> PoolRun::planner() const {
  FLEXPERT_ASSIGN(const json::value status, ask(controller_, "GET", "/api/v1/status"));
  const json::object& object = status.as_object();
  if (!object.contains("planner")) return fail(ErrorCode::kDataLoss, "the status has no planner");
  return object.at("planner");
}

Result<json::value> PoolRun::pool() const {
  FLEXPERT_ASSIGN(const json::value all, planner());
  return all.at("pools").at(0);
}

Result<std::map<std::string, std::int64_t>> PoolRun::instances() const {
  FLEXPERT_ASSIGN(const json::value status, ask(controller_, "GET", "/internal/fleet"));
  std::map<std::string, std::int64_t> out;
  for (const json::value& instance : status.at("instances").as_array())
    out[std::string(instance.at("id").as_string())] = instance.at("pid").to_number<std::int64_t>();
  return out;
}

Result<void> PoolRun::set_manual(std::uint32_t replicas) const {
  FLEXPERT_ASSIGN(const json::value answer, ask(controller_, "PUT", "/api/v1/pools/chat/limits", fmt::format("{{\"manual\":{}}}", replicas)));
  return settle(replicas, Seconds(60));
}

Result<void> PoolRun::settle(std::uint32_t replicas, Duration deadline) const {
  const auto settled = [&] {
    const auto now = pool();
    if (!now) return false;
    const json::object& states = now->at("instances").as_object();
    return states.at("ready").to_number<std::uint32_t>() == replicas && states.at("starting").to_number<int>() == 0 &&
           states.at("draining").to_number<int>() == 0 && states.at("failed").to_number<int>() == 0;
  };
  return run_until(loop_, settled, deadline, fmt::format("{} instances", replicas));
}

std::string PoolRun::conditions() const {
  std::string out;
  const auto all = planner();
  if (!all) return out;
  const auto add = [&](const json::value& list) {
    for (const json::value& condition : list.as_array()) out += std::string(condition.at("code").as_string()) + " ";
  };
  add(all->at("conditions"));
  add(all->at("pools").at(0).at("conditions"));
  return out;
}

Result<void> PoolRun::stop(const std::string& kept) {
  if (relay_) FLEXPERT_TRY(relay_->end(SIGTERM));
  FLEXPERT_TRY(fleet_->end(SIGTERM));
  if (kept.empty()) return {};
  std::error_code error;
  std::filesystem::copy_file(journal(), kept, std::filesystem::copy_options::overwrite_existing, error);
  if (error) return fail(ErrorCode::kUnavailable, "the journal cannot be kept: {}: {}", kept, error.message());
  return {};
}

InstanceSeconds::InstanceSeconds(net::EventLoop& loop, const PoolRun& run) : loop_(loop), run_(run), last_(SystemClock().now()) { look(); }
InstanceSeconds::~InstanceSeconds() { loop_.cancel(timer_); }

void InstanceSeconds::look() {
  const TimePoint now = SystemClock().now();
  seconds_ += static_cast<double>(count_) * to_seconds(now - last_);
  last_ = now;
  if (const auto instances = run_.instances()) count_ = instances->size();
  most_ = std::max(most_, count_);
  timer_ = loop_.call_after(Milliseconds(100), [this] { look(); });
}

Result<std::unique_ptr<PrometheusServer>> PrometheusServer::create(net::EventLoop& loop) {
  std::unique_ptr<PrometheusServer> server(new PrometheusServer(loop));
  FLEXPERT_ASSIGN(server->port_, free_port());
  return server;
}

std::string PrometheusServer::url() const { return fmt::format("http://127.0.0.1:{}", port_); }

Result<void> PrometheusServer::start(const net::Address& controller, const net::Address& gateway) {
  const std::string config = folder_.write(
      "prometheus.yml", fmt::format("global: {{scrape_interval: 400ms, scrape_timeout: 400ms}}\n"
                                    "scrape_configs:\n"
                                    "  - job_name: instances\n    http_sd_configs: [{{url: 'http://{}/internal/prometheus-targets', refresh_interval: 1s}}]\n"
                                    "  - job_name: gateway\n    static_configs: [{{targets: ['{}']}}]\n",
                                    controller.to_string(), gateway.to_string()));
  FLEXPERT_ASSIGN(process_, LiveProcess::start(loop_, {"/usr/bin/prometheus", "--config.file=" + config, "--storage.tsdb.path=" + folder_.path() + "/data",
                                                       fmt::format("--web.listen-address=127.0.0.1:{}", port_), "--log.level=warn"}));
  const net::Address address{.is_unix = false, .host_or_path = "127.0.0.1", .port = port_};
  const auto up = [&] { return process_->ended() || ask(address, "GET", "/api/v1/status/buildinfo").has_value(); };
  FLEXPERT_TRY(run_until(loop_, up, Seconds(30), "Prometheus to answer"));
  if (process_->ended()) return fail(ErrorCode::kUnavailable, "Prometheus ended: {}", process_->lines().empty() ? "" : process_->lines().back());
  return {};
}

}  // namespace flexpert::bench
