#include "flexpert/embedded_fleet.h"

#include <algorithm>

#include <fmt/format.h>
#include <unistd.h>

#include "crypto/secret_file.h"
#include "flexpert/model_check.h"
#include "flexpert/pack_maker.h"
#include "net/socket.h"

namespace flexpert::app {

namespace {

constexpr Duration kReadyPoll = Milliseconds(25);
constexpr std::uint32_t kHopelessRestarts = 3;  // of a process that has never become ready

/// Finds out before anything is started whether an address is free. `who` is a section of the configuration, `field` one of it.
Result<void> check_free(std::string_view who, std::string_view field, const std::string& text) {
  FLEXPERT_ASSIGN(const net::Address address, net::Address::parse(text));
  auto socket = net::listen_on(address);
  if (!socket) return fail(socket.error().with_context(fmt::format("{0} cannot listen (does another fleet run? stop it, or change {0}.{1})", who, field)));
  return {};
}

}  // namespace

Result<PreparedFleet> prepare_fleet(config::FleetConfig config, const std::string& config_path) {
  FLEXPERT_TRY(check_free("gateway", "listen", config.gateway.listen));
  if (const std::string& metrics = config.gateway.listeners.metrics; !metrics.empty()) FLEXPERT_TRY(check_free("gateway", "metrics_listen", metrics));
  if (config.model || config.pools) FLEXPERT_TRY(check_free("controller", "listen", config.controller.listen));
  if (config.model) {
    FLEXPERT_ASSIGN(const auto checkpoint, engine::Checkpoint::open(config.model->path));
    FLEXPERT_TRY(check_against_checkpoint(*config.model, *checkpoint));
  }
  FLEXPERT_ASSIGN(RuntimeFolder folder, RuntimeFolder::open(config.runtime_dir));
  if (config.model) {
    config.model->pack = runtime_pack_path(folder, *config.model);
    if (auto pack = open_or_make_pack(config.model->path, config.model->pack); !pack) return fail(pack.error());
  }
  if (config.access.internal_secret_file.empty()) {
    config.access.internal_secret_file = folder.file("internal.secret");
    FLEXPERT_TRY(crypto::ensure_secret_file(config.access.internal_secret_file));
  }
  FLEXPERT_ASSIGN(PoolHosting pools, prepare_pools(config, config_path, folder));
  return PreparedFleet{std::move(config), std::move(folder), std::move(pools)};
}

Result<std::unique_ptr<EmbeddedFleet>> EmbeddedFleet::start(PreparedFleet prepared, const std::string& config_path) {
  std::unique_ptr<EmbeddedFleet> fleet(new EmbeddedFleet(std::move(prepared)));
  if (fleet->config_.model || fleet->config_.pools) FLEXPERT_TRY(fleet->start_controller());
  FLEXPERT_TRY(fleet->start_gateway());
  FLEXPERT_TRY(write_state(fleet->folder_, {.pid = getpid(),
                                            .gateway = fleet->gateway_address_.to_string(),
                                            .controller = fleet->controller_address_ ? fleet->controller_address_->to_string() : std::string(),
                                            .config = config_path}));
  return fleet;
}

Result<void> EmbeddedFleet::start_controller() {
  const std::string pack = config_.model ? config_.model->pack : std::string();
  auto started = controller_thread_.call([&] { return ControllerHost::start(controller_thread_.loop(), config_, folder_.path(), pack, pools_); });
  if (!started) return fail(started.error());
  controller_ = std::move(*started);
  controller_address_ = controller_thread_.call([&] { return controller_->controller().address(); });
  config_.gateway.controller = controller_address_->to_string();
  return {};
}

Result<void> EmbeddedFleet::start_gateway() {
  // Where replicas of the gateway are scaled, the one in this process is one more of them.
  const bool shared = config_.pools && std::any_of(config_.pools->planner.pools.begin(), config_.pools->planner.pools.end(),
                                                   [](const scaling::PoolConfig& pool) { return pool.role == PoolRole::kGateway; });
  net::UniqueFd socket;
  if (shared) {
    auto made = controller_thread_.call([&] { return controller_->gateway_socket(config_.gateway.listen); });
    if (!made) return fail(made.error());
    socket = std::move(*made);
  }
  return gateway_thread_.call([&]() -> Result<void> {
    FLEXPERT_ASSIGN(gateway_, gateway::Gateway::create(gateway_thread_.loop(), config_, gateway_metrics_, clock_));
    if (shared) {
      FLEXPERT_ASSIGN(gateway_address_, gateway_->listen_on(std::move(socket)));
    } else {
      FLEXPERT_ASSIGN(gateway_address_, gateway_->listen());
    }
    FLEXPERT_ASSIGN(metrics_address_, gateway_->listen_for_probes());
    if (auto admin = gateway_->listen_for_admin(nullptr); !admin) return fail(admin.error());
    return {};
  });
}

EmbeddedFleet::~EmbeddedFleet() {
  gateway_thread_.call([&] { gateway_.reset(); });
  controller_thread_.call([&] { controller_.reset(); });
}

FleetSnapshot EmbeddedFleet::snapshot() {
  if (!controller_address_) return {};
  return controller_thread_.call([&] { return controller_ ? controller_->controller().snapshot() : FleetSnapshot{}; });
}

bool EmbeddedFleet::may_be_empty() const {
  if (config_.model || !config_.pools) return false;
  const auto& pools = config_.pools->planner.pools;
  return std::all_of(pools.begin(), pools.end(), [](const scaling::PoolConfig& pool) { return pool.limits.min == 0; });
}

Result<bool> EmbeddedFleet::is_ready() {
  if (!controller_address_) return true;
  for (const InstanceStatus& instance : snapshot().instances)
    if (instance.role == InstanceRole::kModelServer && instance.state != InstanceState::kReady && instance.restarts >= kHopelessRestarts)
      return fail(ErrorCode::kUnavailable, "{} keeps failing; its log is {}: {}", instance.id, folder_.file("logs/" + instance.id.value + ".log"),
                  instance.last_error);
  if (!controller_thread_.call([&] { return controller_->controller().ready(); })) return false;
  return may_be_empty() || gateway_thread_.call([&] { return gateway_->ready(); });
}

void EmbeddedFleet::when_ready(net::EventLoop& loop, Duration timeout, std::function<void(Result<void>)> then) {
  const Result<bool> ready = is_ready();
  if (!ready) return then(fail(ready.error()));
  if (*ready) return then({});
  if (timeout <= Duration(0)) return then(fail(ErrorCode::kDeadlineExceeded, "fleet did not become ready in time; see the logs in {}", folder_.file("logs")));
  loop.call_after(kReadyPoll, [this, &loop, timeout, then = std::move(then)]() mutable { when_ready(loop, timeout - kReadyPoll, std::move(then)); });
}

void EmbeddedFleet::reload() {
  gateway_thread_.loop().post([this] { gateway_->reload(); });
}

void EmbeddedFleet::shutdown(net::EventLoop& loop, std::function<void()> done) {
  const TimePoint deadline = clock_.now() + from_seconds(config_.shutdown_deadline_s);
  // Requests get two thirds of the time, processes what is left.
  const Duration for_requests = from_seconds(config_.shutdown_deadline_s * 2 / 3);
  auto stop_processes = [this, &loop, deadline, done = std::move(done)] {
    controller_thread_.loop().post([this, &loop, deadline, done] {
      auto stopped = [&loop, done] { loop.post([done] { done(); }); };
      if (!controller_) return stopped();
      controller_->controller().drain(std::max(Duration(0), deadline - clock_.now()), stopped);
    });
  };
  gateway_thread_.loop().post([this, for_requests, stop_processes = std::move(stop_processes)] { gateway_->drain(for_requests, stop_processes); });
}

}  // namespace flexpert::app
