#include "controller/controller.h"

#include <cstdio>
#include <filesystem>

#include <fmt/format.h>
#include <unistd.h>

#include "flexpert/commands.h"
#include "flexpert/controller_host.h"
#include "flexpert/drain_on_signal.h"
#include "flexpert/exit_codes.h"
#include "flexpert/log_setup.h"
#include "flexpert/model_check.h"
#include "flexpert/pack_maker.h"
#include "flexpert/pool_hosting.h"
#include "flexpert/runtime_folder.h"

namespace flexpert::app {

namespace {

Result<void> serve_controller(const ControllerOptions& options) {
  FLEXPERT_ASSIGN(config::FleetConfig config, config::load_file(options.config));
  if (!config.model && !config.pools)
    return fail(ErrorCode::kInvalidArgument, "configuration has neither a `model:` nor a `pools:` section, so there is nothing to control: {}", options.config);
  config.controller.dry_run = config.controller.dry_run || options.dry_run;
  if (config.model) {
    FLEXPERT_ASSIGN(const auto checkpoint, engine::Checkpoint::open(config.model->path));
    FLEXPERT_TRY(check_against_checkpoint(*config.model, *checkpoint));
  }
  FLEXPERT_ASSIGN(const RuntimeFolder folder, RuntimeFolder::open(config.runtime_dir));
  FLEXPERT_ASSIGN(const store::LeaderLock lock, lead(folder, !options.no_wait));
  if (config.model) {
    config.model->pack = runtime_pack_path(folder, *config.model);
    FLEXPERT_TRY(open_or_make_pack(config.model->path, config.model->pack));
  }
  FLEXPERT_ASSIGN(PoolHosting pools, prepare_pools(config, options.config, folder));
  pools.instances_survive = config.pools && !config.runtime_dir.empty();
  net::EventLoop loop;
  std::unique_ptr<ControllerHost> host;
  const DrainOnSignal on_signal(loop, [&] { host->controller().drain(from_seconds(config.shutdown_deadline_s), [&loop] { loop.stop(); }); });
  FLEXPERT_ASSIGN(host, ControllerHost::start(loop, config, folder.path(), config.model ? config.model->pack : "", pools));
  const std::string address = host->controller().address().to_string();
  FLEXPERT_TRY(lock.say(fmt::format("pid {}, http://{}", getpid(), address)));
  FLEXPERT_TRY(write_state(folder, {.pid = getpid(), .gateway = {}, .controller = address, .config = options.config}));
  fmt::print("controller listening on http://{}  runtime {}\n", address, folder.path());
  std::fflush(stdout);
  loop.run();
  return {};
}

}  // namespace

int run_controller(const ControllerOptions& options) {
  configure_log(options.log_level, "controller");
  if (auto served = serve_controller(options); !served) return fail_with("controller", served.error());
  return kExitOk;
}

}  // namespace flexpert::app
