#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/ids.h"
#include "codec/expert_protocol.h"
#include "net/address.h"
#include "net/event_loop.h"

namespace flexpert::controller {

/// Asks expert servers, in their own protocol, how many rows they have computed of every (layer, expert). Belongs to the
/// loop's thread; destroying it forgets what is under way.
class ServerRows {
 public:
  struct Target {
    InstanceId id;
    net::Address address;
  };
  /// Rows since the server started, of the slots that it was used for.
  using OnRows = std::function<void(const InstanceId&, const std::vector<expert_protocol::SlotRows>&)>;

  ServerRows(net::EventLoop& loop, expert_protocol::Hello hello);
  ~ServerRows();
  /// Calls `on_rows` for each server that answers within a second. A server that is still being asked is not asked again.
  void poll(const std::vector<Target>& targets, const OnRows& on_rows);

 private:
  class Inquiry;
  void over(Inquiry* inquiry);

  net::EventLoop& loop_;
  expert_protocol::Hello hello_;
  std::vector<std::unique_ptr<Inquiry>> inquiries_;
};

}  // namespace flexpert::controller
