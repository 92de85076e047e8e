#include "routing/in_flight_share.h"

#include <algorithm>
#include <utility>

namespace flexpert::routing {

InFlightShare::Role InFlightShare::join(const CacheKey& key, Member member) {
  const auto [group, first] = groups_.try_emplace(key);
  if (first) {
    group->second.leader = member;
    return Role::kLeader;
  }
  group->second.followers.push_back(member);
  return Role::kFollower;
}

std::vector<InFlightShare::Member> InFlightShare::complete(const CacheKey& key, Member leader) {
  const auto group = groups_.find(key);
  if (group == groups_.end() || group->second.leader != leader) return {};
  std::vector<Member> followers = std::move(group->second.followers);
  groups_.erase(group);
  return followers;
}

InFlightShare::Handover InFlightShare::fail(const CacheKey& key, Member leader) {
  const auto known = groups_.find(key);
  if (known == groups_.end() || known->second.leader != leader) return {};
  Group& group = known->second;
  Handover handover;
  if (group.followers.empty() || ++group.failures >= kMostFailures) {
    handover.alone = std::move(group.followers);
    groups_.erase(known);
    return handover;
  }
  group.leader = group.followers.front();
  group.followers.erase(group.followers.begin());
  handover.leads.push_back(group.leader);
  return handover;
}

void InFlightShare::leave(const CacheKey& key, Member follower) {
  const auto group = groups_.find(key);
  if (group != groups_.end()) std::erase(group->second.followers, follower);
}

std::size_t InFlightShare::followers(const CacheKey& key, Member leader) const {
  const auto group = groups_.find(key);
  return group == groups_.end() || group->second.leader != leader ? 0 : group->second.followers.size();
}

}  // namespace flexpert::routing
