#include "controller/fleet_book.h"

#include <algorithm>

namespace flexpert::controller {

Member& FleetBook::add(InstanceRole role, std::uint32_t number, Member member) {
  member.number = number;
  return members_[{role, number}] = std::move(member);
}

void FleetBook::remove(const InstanceId& id) {
  std::erase_if(members_, [&](const auto& entry) { return entry.second.status.id == id; });
}

Member* FleetBook::find(const InstanceId& id) {
  for (auto& [key, member] : members_)
    if (member.status.id == id) return &member;
  return nullptr;
}

std::vector<Member*> FleetBook::of(InstanceRole role) {
  std::vector<Member*> found;
  for (auto& [key, member] : members_)
    if (key.first == role) found.push_back(&member);
  return found;
}

std::vector<const Member*> FleetBook::all() const {
  std::vector<const Member*> found;
  for (const auto& [key, member] : members_) found.push_back(&member);
  return found;
}

std::size_t FleetBook::count(InstanceRole role) const {
  return static_cast<std::size_t>(std::count_if(members_.begin(), members_.end(), [&](const auto& entry) { return entry.first.first == role; }));
}

std::uint32_t FleetBook::free_number(InstanceRole role) const {
  std::uint32_t number = 0;
  while (members_.contains({role, number})) ++number;
  return number;
}

}  // namespace flexpert::controller
