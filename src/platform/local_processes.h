#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "http/client.h"
#include "net/event_loop.h"
#include "net/unique_fd.h"
#include "platform/adopted_records.h"
#include "platform/orchestrator.h"

namespace flexpert::platform {

struct LocalProcessesOptions {
  std::string log_dir;                   ///< an existing folder for one ID.log per instance; empty: no files
  std::string record_dir;                ///< an existing folder for records of processes that may outlive us; empty: none may
  std::size_t kept_lines = 200;          ///< of output, per instance, in memory
  Duration probe_interval = Milliseconds(25);
  Duration shortest_backoff = Milliseconds(100);
  Duration longest_backoff = Seconds(10);
  Duration stable_after = Seconds(5);    ///< ready for this long, an instance's next crash begins at the shortest backoff
};

/// Runs instances as children of this process. A child that exits, or is not ready in time, is started again after a
/// pause that doubles from `shortest_backoff` to `longest_backoff`. Children die with us, even by SIGKILL, but for those
/// whose spec lets them outlive us: with a `record_dir` these write to their log file themselves (there are no last_lines()
/// of them) and are taken over by recover(). Belongs to the loop's thread; destroying it kills what still runs.
class LocalProcesses final : public Orchestrator {
 public:
  LocalProcesses(net::EventLoop& loop, LocalProcessesOptions options);
  ~LocalProcesses() override;

  void set_on_change(OnChange callback) override;
  /// The id becomes a file name: letters, digits, '-', '_' and '.' only. An id that has stopped may be launched again.
  Result<void> launch(LaunchSpec spec) override;
  Result<void> stop(const InstanceId& id) override;
  [[nodiscard]] std::vector<Observed> observe() const override;
  [[nodiscard]] std::vector<Recovered> recover() override;
  /// Returns the socket that instances with this `shared_listen` accept from, for another listener in this process. It is made
  /// at the first use and kept. Errors: an address that is taken, or a Unix path.
  Result<net::UniqueFd> shared_socket(const std::string& address);
  /// Returns the newest lines of an instance's stdout and stderr, oldest first; none for an unknown id.
  [[nodiscard]] std::vector<std::string> last_lines(const InstanceId& id) const;

 private:
  class Instance;

  net::EventLoop& loop_;
  LocalProcessesOptions options_;
  ProcessRecords records_;
  http::Client client_;
  OnChange on_change_;
  std::map<std::string, net::UniqueFd> shared_sockets_;
  std::map<InstanceId, std::unique_ptr<Instance>> instances_;
};

}  // namespace flexpert::platform
