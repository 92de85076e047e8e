#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"
#include "codec/expert_protocol.h"
#include "engine/expert/pack_file.h"
#include "net/address.h"
#include "net/event_loop.h"
#include "telemetry/metrics.h"

namespace flexpert::engine {

struct ExpertServerOptions {
  net::Address listen;
  InstanceId instance;                ///< told in hello; batches meant for another instance are refused
  std::uint32_t threads = 1;          ///< compute threads, the loop's own included
  double pace_rows_per_s = 0;         ///< > 0: answers are held back to this speed
  std::uint64_t model_epoch = 0;      ///< compared in hello
  std::uint32_t max_connections = 256;
  std::size_t max_payload_bytes = expert_protocol::kDefaultMaxPayload;
  Duration hello_timeout = Seconds(5);
};

/// Serves (layer, expert) slots of a pack file over the expert protocol. It keeps no state between batches: any server
/// of the same pack gives the same bits. Batches are computed on the loop's thread with a pool of compute threads.
/// With a pace the work is really done, and the answer held back until an accelerator of that speed would have had it:
/// max(arrival, end of the batch before) + rows / pace. Belongs to the loop's thread.
class ExpertServer {
 public:
  /// Begins to listen; address() has the port when 0 was asked for. Errors: the address cannot be listened on.
  static Result<std::unique_ptr<ExpertServer>> start(net::EventLoop& loop, std::shared_ptr<const PackFile> pack,
                                                     ExpertServerOptions options, telemetry::Registry& metrics, const Clock& clock);
  ~ExpertServer();
  ExpertServer(const ExpertServer&) = delete;
  ExpertServer& operator=(const ExpertServer&) = delete;

  [[nodiscard]] const net::Address& address() const;
  [[nodiscard]] expert_protocol::Stats stats() const;
  /// Accepts no more connections and refuses new batches; calls `done` once all answers owed are out, or after
  /// `deadline`. All connections are closed then.
  void drain(Duration deadline, std::move_only_function<void()> done);

 private:
  struct Impl;
  explicit ExpertServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace flexpert::engine
