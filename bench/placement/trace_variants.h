#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/rng.h"
#include "fleet/expert_counts.h"
#include "fleet/routing_trace.h"

/// Other traces made of a recorded one, or of counts: what a policy that fits one file only would fail on.
namespace flexpert::bench {

/// Returns the trace with the requests of every topic in another order.
RoutingTrace other_requests(const RoutingTrace& trace, Rng& rng);

/// Returns the trace with its topics in another order.
RoutingTrace other_topics(const RoutingTrace& trace, Rng& rng);

/// Returns the trace with `groups` topics made of its categories: those that are alike modulo `groups`, of every dataset of
/// more than `least` categories; the others stay topics. Topics in another order.
RoutingTrace by_categories(const RoutingTrace& trace, std::uint32_t groups, std::uint32_t least, Rng& rng);

/// Returns the requests at even or odd places.
RoutingTrace half(const RoutingTrace& trace, bool odd);

/// One kind of text: how often its tokens choose each expert.
struct DrawnTopic {
  std::string name;
  ExpertCounts counts;
};

/// Returns `turns` topics one after another, each `requests` requests of `tokens` tokens of a kind drawn at random, never
/// one twice running. Tokens choose `top_k` experts of a layer without repeats, in proportion to the counts.
RoutingTrace drawn_trace(const std::vector<DrawnTopic>& topics, std::uint32_t top_k, std::uint32_t turns, std::uint32_t requests,
                         std::uint32_t tokens, Rng& rng);

}  // namespace flexpert::bench
