#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "fleet/fleet_snapshot.h"
#include "net/address.h"
#include "platform/orchestrator.h"

namespace flexpert::controller {

/// One process of the fleet and what the controller remembers of it.
struct Member {
  InstanceStatus status;
  net::Address address;
  std::uint32_t number = 0;       ///< the K of expert-K, serve-K
  bool stopping = false;          ///< asked to go for good
  bool leaving_table = false;     ///< drained as soon as every model server works without it
  std::uint64_t acked_epoch = 0;  ///< model servers: the table it said it works by
  bool put_in_flight = false;     ///< model servers: a table is on its way
};

/// Who there is. Plain bookkeeping, no I/O. Belongs to the controller's thread.
class FleetBook {
 public:
  Member& add(InstanceRole role, std::uint32_t number, Member member);
  void remove(const InstanceId& id);
  [[nodiscard]] Member* find(const InstanceId& id);
  /// Returns members of one role by ascending number. Pointers are good until add() or remove().
  [[nodiscard]] std::vector<Member*> of(InstanceRole role);
  [[nodiscard]] std::vector<const Member*> all() const;
  [[nodiscard]] std::size_t count(InstanceRole role) const;
  /// Returns the least number that no member of this role has.
  [[nodiscard]] std::uint32_t free_number(InstanceRole role) const;

 private:
  std::map<std::pair<InstanceRole, std::uint32_t>, Member> members_;
};

}  // namespace flexpert::controller
