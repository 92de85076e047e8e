#include "controller/pool_launcher.h"

#include <unistd.h>

#include <charconv>

#include "controller/pool_sensors.h"
#include "net/socket.h"

namespace flexpert::controller {
namespace {

// Under the range from which the kernel gives ports to outgoing connections, so that these do not take one between our look
// at it and the instance's listening.
constexpr std::uint16_t kFirstPort = 20000;
constexpr std::uint16_t kPorts = 12000;

/// How long a process that has nothing to do any more may take from SIGTERM to its end.
constexpr Duration kStopDeadline = Seconds(5);

std::string replaced(std::string text, std::string_view what, const std::string& with) {
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size())) text.replace(at, what.size(), with);
  return text;
}

}  // namespace

InstanceId instance_id(const PoolId& pool, std::uint32_t number) { return {fmt::format("{}.{}", pool, number)}; }

bool is_instance_of(const InstanceId& id, const PoolId& pool, std::uint32_t& number) {
  const std::string& text = id.value;
  if (!text.starts_with(pool.value) || text.size() <= pool.value.size() + 1 || text[pool.value.size()] != '.') return false;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + pool.value.size() + 1, end, number);
  return error == std::errc{} && stop == end;
}

Result<std::uint16_t> PoolLauncher::free_port() {
  if (next_port_ == 0) next_port_ = static_cast<std::uint16_t>(kFirstPort + static_cast<unsigned>(::getpid()) * 37U % kPorts);
  for (unsigned tries = 0; tries < kPorts; ++tries) {
    const std::uint16_t port = next_port_;
    next_port_ = static_cast<std::uint16_t>(next_port_ + 1 < kFirstPort + kPorts ? next_port_ + 1 : kFirstPort);
    if (net::listen_on({.is_unix = false, .host_or_path = "127.0.0.1", .port = port})) return port;
  }
  return fail(ErrorCode::kResourceExhausted, "no port from {} to {} is free for an instance", kFirstPort, kFirstPort + kPorts - 1);
}

void PoolLauncher::add_gateway(platform::LaunchSpec& spec, const config::PoolLaunchConfig& launch, const std::string& address) const {
  spec.argv = {options_.program,    "gateway", "-c", options_.config_file,         "--listen-fd", "3", "--metrics-listen", address, "--controller",
               options_.controller, "--drain-deadline", fmt::to_string(launch.drain_deadline_s), "--log-level", "warn"};
  add_secret(spec);
  spec.shared_listen = options_.gateway_listen;
  spec.readiness = {address, "/health", from_seconds(launch.ready_timeout_s)};
  spec.drain_deadline = from_seconds(launch.drain_deadline_s) + kStopDeadline;  // it finishes its requests itself
}

void PoolLauncher::add_secret(platform::LaunchSpec& spec) const {
  if (options_.internal_secret_file.empty()) return;
  spec.argv.emplace_back("--internal-secret-file");
  spec.argv.push_back(options_.internal_secret_file);
}

Result<platform::LaunchSpec> PoolLauncher::spec_of(const config::PoolEntry& entry, const scaling::PoolConfig& pool, const InstanceId& id) {
  const config::PoolLaunchConfig& launch = entry.launch;
  platform::LaunchSpec spec;
  spec.id = id;
  spec.environment = launch.environment;
  spec.drain_deadline = kStopDeadline;
  spec.may_outlive_us = options_.instances_survive;
  std::string address = fmt::format("unix:{}/{}.sock", options_.runtime_dir, id);
  std::uint16_t port = 0;
  if (!launch.command.empty() || entry.sensors.source == "prometheus") {
    FLEXPERT_ASSIGN(port, free_port());
    address = fmt::format("127.0.0.1:{}", port);
  }
  if (pool.role == PoolRole::kGateway && launch.command.empty()) {
    add_gateway(spec, launch, address);
    return spec;
  }
  if (launch.command.empty()) {
    spec.argv = {options_.program, "serve", "--model", launch.model, "--listen", address, "--threads", fmt::to_string(launch.threads),
                 "--kv-blocks", fmt::to_string(launch.kv_blocks), "--max-batch", fmt::to_string(launch.max_batch),
                 "--name", model_name_of(launch, pool.id), "--log-level", "warn"};
    if (const auto pack = options_.packs.find(launch.model); pack != options_.packs.end()) {
      spec.argv.emplace_back("--pack");
      spec.argv.push_back(pack->second);
    }
    if (pool.vertical && pool.vertical->kv_blocks_max > launch.kv_blocks) {
      spec.argv.emplace_back("--max-kv-blocks");
      spec.argv.push_back(fmt::to_string(pool.vertical->kv_blocks_max));
    }
    add_secret(spec);
    if (!launch.pace.empty()) {
      spec.argv.emplace_back("--pace");
      spec.argv.push_back(launch.pace);
    }
  }
  for (const std::string& word : launch.command) spec.argv.push_back(replaced(replaced(word, "{address}", address), "{port}", fmt::to_string(port)));
  spec.readiness = {address, launch.command.empty() ? "/ready" : launch.ready_path, from_seconds(launch.ready_timeout_s)};
  return spec;
}

}  // namespace flexpert::controller
