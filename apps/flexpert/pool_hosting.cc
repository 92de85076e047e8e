#include "flexpert/pool_hosting.h"

#include <csignal>
#include <cstdio>

#include <fmt/format.h>

#include "engine/serve/pace_profile.h"
#include "flexpert/files.h"
#include "flexpert/pack_maker.h"
#include "net/event_loop.h"
#include "net/signals.h"

namespace flexpert::app {

namespace {

constexpr Duration kLookForLock = Milliseconds(200);

}  // namespace

Result<PoolHosting> prepare_pools(const config::FleetConfig& config, const std::string& config_path, const RuntimeFolder& folder) {
  PoolHosting out;
  if (!config.pools) return out;
  FLEXPERT_ASSIGN(out.config_text, read_text_file(config_path));
  out.config_source = config_path;
  if (config.model) out.packs[config.model->path] = config.model->pack;
  for (const config::PoolEntry& entry : config.pools->entries) {
    const std::string& model = entry.launch.model;
    if (entry.launch.backend != "local" || model.empty()) continue;
    if (!entry.launch.pace.empty()) {
      const auto pace = engine::read_pace_profile(entry.launch.pace);
      if (!pace) return fail(pace.error());
    }
    if (out.packs.contains(model)) continue;
    const std::string pack = folder.file(fmt::format("pool-{}.pack", out.packs.size()));
    if (auto made = open_or_make_pack(model, pack); !made) return fail(made.error());
    out.packs[model] = pack;
  }
  return out;
}

Result<store::LeaderLock> lead(const RuntimeFolder& folder, bool wait) {
  const std::string path = folder.file("leader.lock");
  net::EventLoop loop;
  bool told = false;
  bool interrupted = false;
  std::optional<net::SignalWatcher> signals;
  while (!interrupted) {
    FLEXPERT_ASSIGN(std::optional<store::LeaderLock> lock, store::LeaderLock::try_take(path));
    if (lock) return std::move(*lock);
    const std::string holder = store::LeaderLock::holder(path);
    if (!wait)
      return fail(ErrorCode::kFailedPrecondition, "another controller leads this fleet ({}); stop it, or use another runtime_dir: {}",
                  holder.empty() ? "unknown" : holder, folder.path());
    if (!told) {
      fmt::print("standby: another controller leads ({}); waiting for its end  runtime {}\n", holder.empty() ? "unknown" : holder, folder.path());
      std::fflush(stdout);
      signals.emplace(loop, std::initializer_list<int>{SIGTERM, SIGINT}, [&](int) { interrupted = true; });
    }
    told = true;
    loop.run_once(kLookForLock);
  }
  return fail(ErrorCode::kCancelled, "stopped while waiting to lead");
}

}  // namespace flexpert::app
