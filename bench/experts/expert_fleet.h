#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "fleet/routing_table.h"
#include "net/child_process.h"
#include "net/event_loop.h"

namespace flexpert::bench {

/// A folder under the system's temporary one, removed with its contents.
class ScratchFolder {
 public:
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

/// Runs the loop until `done`, or fails after `deadline`.
Result<void> run_until(net::EventLoop& loop, const std::function<bool()>& done, Duration deadline, const std::string& what);

struct FleetOptions {
  std::string program;  ///< the flexpert binary
  std::string pack;
  std::string folder;   ///< for Unix sockets
  std::uint32_t threads = 1;
};

/// Real `flexpert expert` processes. Belongs to the loop's thread.
class ExpertFleet {
 public:
  ExpertFleet(net::EventLoop& loop, FleetOptions options) : loop_(loop), options_(std::move(options)) {}

  /// Adds a server that is not running; returns its number.
  std::size_t add(bool tcp);
  /// Starts a server's process; ready() when it listens. A TCP server keeps its port when it is started again.
  Result<void> start(std::size_t server);
  Result<void> start_all_and_wait();
  void kill_9(std::size_t server);
  [[nodiscard]] bool running(std::size_t server) const { return servers_[server].process != nullptr; }
  [[nodiscard]] bool ready(std::size_t server) const { return servers_[server].ready; }
  [[nodiscard]] std::size_t size() const { return servers_.size(); }
  [[nodiscard]] std::vector<ExpertEndpoint> endpoints() const;
  /// Makes a table in which every slot has a replica on every server.
  [[nodiscard]] RoutingTable full_table(ExpertGeometry geometry, std::uint64_t epoch) const;

 private:
  struct Server {
    std::string id;
    std::string address;
    std::unique_ptr<net::ChildProcess> process;
    bool ready = false;
    std::vector<std::string> lines;
  };

  net::EventLoop& loop_;
  FleetOptions options_;
  std::vector<Server> servers_;
};

}  // namespace flexpert::bench
