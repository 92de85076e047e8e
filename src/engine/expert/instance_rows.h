#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "codec/expert_protocol.h"
#include "fleet/expert_slot.h"
#include "fleet/routing_table.h"
#include "net/event_loop.h"

namespace flexpert::engine {

/// Has single rows computed by named expert servers, with no fallback. The connections are its own, and the loop drives
/// them: neither the engine nor other instances wait for one that is slow. Belongs to the loop's thread.
class InstanceRows {
 public:
  using RowId = std::uint64_t;
  using Done = std::move_only_function<void(Result<std::vector<float>>)>;
  virtual ~InstanceRows() = default;

  /// Asks `instance` for the output of `row`. `done` is called once, from the loop; it may call run() and cancel().
  /// Error: kUnavailable (not reachable, refused, failed). There is no time limit but the caller's: cancel().
  virtual RowId run(const ExpertEndpoint& instance, ExpertSlot slot, std::span<const float> row, Done done) = 0;
  /// Drops a row: its `done` is not called. An id that is over is ignored. An instance that said nothing since it was
  /// asked is connected anew for what else it is to do: the connection may lead nowhere.
  virtual void cancel(RowId id) = 0;
  /// Closes the connections to instances that are not listed, as soon as they have no rows left.
  virtual void keep_only(std::span<const ExpertEndpoint> instances) = 0;

  /// `hello` is what servers must match. The loop and the clock must outlive the object.
  static std::unique_ptr<InstanceRows> create(net::EventLoop& loop, expert_protocol::Hello hello, const Clock& clock);
};

}  // namespace flexpert::engine
