#include "flexpert/controller_host.h"

#include <filesystem>

#include "engine/expert/pack_file.h"
#include "engine/kernels/kernels.h"
#include "engine/serve/eplb_options.h"
#include "scaling/pool_planner.h"

namespace flexpert::app {

Result<std::string> own_program() {
  std::error_code error;
  const std::filesystem::path path = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return fail(ErrorCode::kInternal, "path of this program cannot be read from /proc/self/exe: {}", error.message());
  return path.string();
}

Result<std::unique_ptr<ControllerHost>> ControllerHost::start(net::EventLoop& loop, const config::FleetConfig& config, const std::string& runtime_dir,
                                                              const std::string& pack_file, const PoolHosting& pools) {
  FLEXPERT_ASSIGN(const std::string program, own_program());
  const std::filesystem::path logs = std::filesystem::path(runtime_dir) / "logs";
  std::error_code error;
  std::filesystem::create_directories(logs, error);
  if (error) return fail(ErrorCode::kUnavailable, "folder for logs cannot be made: {}: {}", logs.string(), error.message());
  platform::LocalProcessesOptions process_options;
  process_options.log_dir = logs.string();
  if (pools.instances_survive) process_options.record_dir = runtime_dir;
  std::unique_ptr<ControllerHost> host(new ControllerHost(loop, std::move(process_options)));
  controller::ControllerOptions options;
  options.config = config;
  options.program = program;
  options.runtime_dir = runtime_dir;
  options.pack_file = pack_file;
  if (config.model) {
    FLEXPERT_ASSIGN(const auto pack, engine::PackFile::open(pack_file));
    options.bytes_per_replica = engine::bytes_per_expert(*pack);
    options.hello = expert_protocol::Hello{.model_fingerprint = pack->model_fingerprint(),
                                           .model_epoch = 0,
                                           .kernel_identity = engine::kernel_identity(),
                                           .hidden = pack->hidden_size(),
                                           .geometry = pack->geometry()};
  }
  options.make_planner = scaling::PoolPlanner::create;
  options.config_text = pools.config_text;
  options.config_source = pools.config_source;
  options.version = FLEXPERT_VERSION;
  options.packs = pools.packs;
  options.instances_survive = pools.instances_survive;
  FLEXPERT_ASSIGN(host->controller_, controller::Controller::create(loop, std::move(options), host->processes_, host->clock_, host->metrics_));
  return host;
}

}  // namespace flexpert::app
