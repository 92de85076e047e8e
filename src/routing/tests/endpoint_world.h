#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "routing/endpoints.h"

namespace flexpert::routing {

/// A pool of ready endpoints e0, e1, ... and a time that tests move.
struct EndpointWorld {
  EndpointWorld(PickOptions options, std::size_t count) : pool(options) {
    for (std::size_t i = 0; i < count; ++i) add();
  }
  Endpoint& add() {
    all.push_back(pool.upsert(fmt::format("e{}", all.size())));
    all.back()->ready = true;
    all.back()->ready_since = now;
    pool.changed();
    return *all.back();
  }
  LoadTicket pick(const PickRequest& request = {}) { return pool.pick(request, now, rng); }
  std::string name(const PickRequest& request = {}) {
    const LoadTicket ticket = pick(request);
    return ticket.held() ? ticket.endpoint()->id : "nobody";
  }
  /// How often each is picked in `times` picks that each end at once.
  std::map<std::string, int> count(int times, const PickRequest& request = {}) {
    std::map<std::string, int> counts;
    for (int i = 0; i < times; ++i) ++counts[name(request)];
    return counts;
  }
  void fail(Endpoint& endpoint, int times) {
    for (int i = 0; i < times; ++i) pool.report(endpoint, true, now);
  }

  std::vector<std::shared_ptr<Endpoint>> all;
  EndpointPool pool;
  Rng rng{7};
  TimePoint now{std::chrono::hours(1)};
};

inline constexpr PickPolicy kEveryPolicy[] = {PickPolicy::kRoundRobin, PickPolicy::kRandom,     PickPolicy::kPowerOfTwo,
                                              PickPolicy::kLeastLoad,  PickPolicy::kPrefixHash, PickPolicy::kSession};

}  // namespace flexpert::routing
