#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "config/pools_config.h"
#include "platform/orchestrator.h"
#include "scaling/pool_config.h"

namespace flexpert::controller {

struct PoolLauncherOptions {
  std::string program;                       ///< path of the flexpert binary
  std::string runtime_dir;                   ///< absolute; for sockets
  std::map<std::string, std::string> packs;  ///< model folder -> its pack; a model that is not in it makes its own in the cache
  bool instances_survive = false;            ///< they outlive a controller that is killed
  std::string config_file = {};              ///< what replicas of the gateway read
  std::string gateway_listen = {};           ///< where they accept clients together
  std::string controller = {};               ///< whom they follow
  std::string internal_secret_file = {};     ///< that gateways and our model servers share; empty: none
};

/// Says how an instance of a pool is run: `flexpert serve`, another engine's command, or `flexpert gateway` for pools of that
/// role. Belongs to the loop's thread.
class PoolLauncher {
 public:
  explicit PoolLauncher(PoolLauncherOptions options) : options_(std::move(options)) {}
  /// Makes the spec of a new instance. Engines of other makes, and pools that Prometheus watches, get a TCP port on
  /// loopback; others a Unix socket. Errors: no free port.
  Result<platform::LaunchSpec> spec_of(const config::PoolEntry& entry, const scaling::PoolConfig& pool, const InstanceId& id);

 private:
  void add_gateway(platform::LaunchSpec& spec, const config::PoolLaunchConfig& launch, const std::string& address) const;
  void add_secret(platform::LaunchSpec& spec) const;
  Result<std::uint16_t> free_port();

  PoolLauncherOptions options_;
  std::uint16_t next_port_ = 0;
};

/// "POOL.NUMBER"; the other way: false if `id` is not of `pool`.
InstanceId instance_id(const PoolId& pool, std::uint32_t number);
bool is_instance_of(const InstanceId& id, const PoolId& pool, std::uint32_t& number);

}  // namespace flexpert::controller
