#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "codec/expert_protocol.h"
#include "fleet/expert_slot.h"
#include "net/event_loop.h"
#include "net/stream.h"
#include "net/unique_fd.h"

namespace flexpert::bench {

/// Stands between model servers and one expert server, hands every byte on, and counts the rows that are asked of it per (layer,
/// expert). What a server computes must have come this way, also just before a kill -9. Belongs to the loop's thread.
class WireTap final : private net::FdHandler {
 public:
  /// `counts` (geometry.size() counters) is shared by the taps of a fleet.
  WireTap(net::EventLoop& loop, ExpertGeometry geometry, std::vector<std::uint64_t>& counts);
  ~WireTap() override;
  WireTap(const WireTap&) = delete;
  WireTap& operator=(const WireTap&) = delete;

  /// Listens on a Unix socket at `path` for connections that go on to `target`.
  Result<void> listen(const std::string& path, net::Address target);
  /// Bytes that are not the expert protocol; must stay 0.
  [[nodiscard]] std::uint64_t malformed() const { return malformed_; }

 private:
  class Pair;
  void on_events(std::uint32_t events) override;
  void over(Pair* pair);

  net::EventLoop& loop_;
  ExpertGeometry geometry_;
  std::vector<std::uint64_t>& counts_;
  net::UniqueFd listening_;
  net::Address target_;
  std::uint64_t malformed_ = 0;
  std::vector<std::unique_ptr<Pair>> pairs_;
};

}  // namespace flexpert::bench
