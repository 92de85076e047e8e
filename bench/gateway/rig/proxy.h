#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "rig/process_cost.h"

namespace flexpert::bench {

/// A folder of its own for configurations, logs and sockets; removed at the end.
class BenchFolder {
 public:
  BenchFolder();
  ~BenchFolder();
  BenchFolder(const BenchFolder&) = delete;
  BenchFolder& operator=(const BenchFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  /// Writes a file; returns its path.
  [[nodiscard]] std::string write(const std::string& name, const std::string& text) const;

 private:
  std::filesystem::path path_;
};

/// What a proxy stands before.
struct ProxySetting {
  std::vector<std::uint16_t> upstreams;
  bool streams = false;         ///< tuned for server-sent events (nginx: buffering off; HAProxy: no delay)
  int core = 1;                 ///< it is kept there
};

/// A running proxy.
class Proxy {
 public:
  /// Starts `arguments` (the program first) and waits until `port` accepts. With `worker` its first child is what is measured.
  /// `shared_fd`: a descriptor of ours that it gets as its number 3.
  static Result<std::unique_ptr<Proxy>> start(std::string name, const std::vector<std::string>& arguments, const std::string& log_file,
                                              std::uint16_t port, int core, bool worker, int shared_fd = -1);
  ~Proxy();
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] pid_t pid() const { return pid_; }
  /// Tells whether it has ended by itself or after a signal.
  bool ended();
  [[nodiscard]] ProcessWatch& watch() { return *watch_; }
  void signal(int number) const;
  /// SIGTERM, and waits for its end; returns its exit code, -1 if it had to be killed.
  int stop();

 private:
  Proxy() = default;
  std::string name_;
  std::uint16_t port_ = 0;
  pid_t pid_ = -1;        ///< of what was started
  std::unique_ptr<ProcessWatch> watch_;
};

/// nginx: one worker, kept upstream connections, no access log, bodies of up to 1 MiB in memory.
Result<std::unique_ptr<Proxy>> start_nginx(const BenchFolder& folder, const ProxySetting& setting);
/// HAProxy: one thread, connections always shared, no logs.
Result<std::unique_ptr<Proxy>> start_haproxy(const BenchFolder& folder, const ProxySetting& setting);

/// What the gateway under test is asked to do beside relaying.
struct GatewaySetting {
  std::string extra_gateway{};   ///< further YAML lines of `gateway:`, indented by two
};

/// Our gateway with everything on: key, policy, limits, routing, metrics, access log.
struct GatewayUnderTest {
  std::unique_ptr<Proxy> proxy;
  std::uint16_t metrics_port = 0;
  std::string api_key;
  std::string config_file;
  std::string policy_file;
};
/// The policy that it runs with: role `user` for model "m", tenant "acme" with limits.
std::string gateway_policy(std::uint64_t requests_per_minute);
Result<GatewayUnderTest> start_gateway(const BenchFolder& folder, const std::string& program, const ProxySetting& setting,
                                       const GatewaySetting& gateway = {});

/// GET on 127.0.0.1; returns the body of a 200.
Result<std::string> get(std::uint16_t port, const std::string& path);

}  // namespace flexpert::bench
