#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "routing/response_cache.h"

namespace flexpert::routing {

/// Which of several identical requests in flight computes: the first leads, the others follow and take its answer. A leader that
/// fails hands the lead to the follower that came first; when that one fails too, sharing is given up and each computes for
/// itself, so that a request that always fails does not make others wait for each other in a row. Pure; belongs to one thread.
class InFlightShare {
 public:
  using Member = std::uint64_t;  ///< named by whoever asks; unique among those inside

  enum class Role : std::uint8_t { kLeader, kFollower };
  Role join(const CacheKey& key, Member member);

  /// The leader has the answer: returns those that take it, and forgets the group.
  std::vector<Member> complete(const CacheKey& key, Member leader);

  struct Handover {
    std::vector<Member> leads;    ///< at most one: leads now, with the others behind it
    std::vector<Member> alone;    ///< compute for themselves; the group is forgotten
  };
  /// The leader has no answer to share: failed, gone, or got one that may not be shared.
  Handover fail(const CacheKey& key, Member leader);
  /// A follower has gone.
  void leave(const CacheKey& key, Member follower);

  /// How many follow `leader`: while there are some, it pays to go on though its own client has gone.
  [[nodiscard]] std::size_t followers(const CacheKey& key, Member leader) const;
  [[nodiscard]] std::size_t groups() const { return groups_.size(); }

 private:
  static constexpr std::uint32_t kMostFailures = 2;
  struct Group {
    Member leader = 0;
    std::uint32_t failures = 0;
    std::vector<Member> followers;  ///< in order of arrival
  };
  std::unordered_map<CacheKey, Group, CacheKeyHash> groups_;
};

}  // namespace flexpert::routing
