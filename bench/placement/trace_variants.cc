#include "trace_variants.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <numeric>
#include <set>
#include <utility>

#include <fmt/format.h>

namespace flexpert::bench {
namespace {

using Requests = std::vector<RoutingTrace::Request>;

template <typename T>
void reorder(std::vector<T>& items, Rng& rng) {
  for (std::size_t left = items.size(); left > 1; --left) std::swap(items[left - 1], items[rng.below(left)]);
}

/// Gathers the requests by topic, in order of first appearance.
std::vector<Requests> topics_of(const Requests& requests) {
  std::vector<Requests> topics;
  std::map<std::string, std::size_t> index;
  for (const auto& request : requests) {
    const auto [place, added] = index.try_emplace(request.topic, topics.size());
    if (added) topics.emplace_back();
    topics[place->second].push_back(request);
  }
  return topics;
}

void put(RoutingTrace& trace, const std::vector<Requests>& topics) {
  trace.requests.clear();
  for (const Requests& topic : topics) trace.requests.insert(trace.requests.end(), topic.begin(), topic.end());
}

}  // namespace

RoutingTrace other_requests(const RoutingTrace& trace, Rng& rng) {
  RoutingTrace other = trace;
  auto topics = topics_of(trace.requests);
  for (Requests& topic : topics) reorder(topic, rng);
  put(other, topics);
  return other;
}

RoutingTrace other_topics(const RoutingTrace& trace, Rng& rng) {
  RoutingTrace other = trace;
  auto topics = topics_of(trace.requests);
  reorder(topics, rng);
  put(other, topics);
  return other;
}

RoutingTrace by_categories(const RoutingTrace& trace, std::uint32_t groups, std::uint32_t least, Rng& rng) {
  std::map<std::string, std::set<std::string>> categories;
  for (const auto& request : trace.requests) categories[request.topic].insert(request.category);
  RoutingTrace other = trace;
  for (auto& request : other.requests) {
    std::uint32_t number = 0;
    std::from_chars(request.category.data(), request.category.data() + request.category.size(), number);
    if (categories[request.topic].size() > least) request.topic = fmt::format("categories {} modulo {}", number % groups, groups);
  }
  return other_topics(other, rng);
}

RoutingTrace half(const RoutingTrace& trace, bool odd) {
  RoutingTrace other = trace;
  other.requests.clear();
  for (std::size_t i = odd ? 1 : 0; i < trace.requests.size(); i += 2) other.requests.push_back(trace.requests[i]);
  return other;
}

RoutingTrace drawn_trace(const std::vector<DrawnTopic>& topics, std::uint32_t top_k, std::uint32_t turns, std::uint32_t requests,
                         std::uint32_t tokens, Rng& rng) {
  RoutingTrace trace{.geometry = topics.front().counts.geometry, .top_k = top_k, .experts = {}, .requests = {}};
  std::size_t last = topics.size();
  for (std::uint32_t turn = 0; turn < turns; ++turn) {
    std::size_t at = rng.below(topics.size());
    while (at == last) at = rng.below(topics.size());
    last = at;
    std::vector<double> left;
    for (std::uint32_t r = 0; r < requests; ++r) {
      trace.requests.push_back({.topic = topics[at].name, .category = "", .first_token = trace.tokens(), .tokens = tokens});
      for (std::uint32_t i = 0; i < tokens * trace.geometry.layers; ++i) {
        const auto counts = topics[at].counts.layer(i % trace.geometry.layers);
        left.assign(counts.begin(), counts.end());
        for (double& weight : left) weight += 1e-6;
        for (std::uint32_t k = 0; k < top_k; ++k) {
          double point = rng.uniform() * std::accumulate(left.begin(), left.end(), 0.0);
          std::size_t expert = 0;
          while (expert + 1 < left.size() && (point >= left[expert] || left[expert] == 0)) point -= left[expert++];
          while (left[expert] == 0) --expert;
          trace.experts.push_back(static_cast<std::uint8_t>(expert));
          left[expert] = 0;
        }
      }
    }
  }
  return trace;
}

}  // namespace flexpert::bench
