#pragma once

#include <cmath>
#include <limits>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "scaling/policy.h"

namespace flexpert::scaling {

/// One policy on one pool that the test sets as it likes.
struct PolicyBench {
  PolicyBench(std::unique_ptr<Policy> p, std::uint32_t ready) : policy(std::move(p)) { set(ready); }

  /// Makes so many ready instances, ready for long.
  void set(std::uint32_t ready) {
    observation.instances.clear();
    for (std::uint32_t i = 0; i < ready; ++i) add(InstanceState::kReady, 0);
  }
  void starting(std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) add(InstanceState::kStarting, now);
  }
  void add(InstanceState state, std::int64_t since) {
    PoolInstance instance;
    instance.id = InstanceId{"i" + std::to_string(observation.instances.size())};
    instance.state = state;
    instance.since_unix_ms = since;
    observation.instances.push_back(std::move(instance));
  }
  void pass(double seconds) { now += static_cast<std::int64_t>(seconds * 1000); }

  const Proposal& with(const std::string& metric, double value) {
    observation.metrics[metric] = {value, 0};
    return propose();
  }
  const Proposal& propose() { return newest = propose_with(*policy); }
  Proposal propose_with(Policy& other) const {
    PolicyInput input{observation, now, 15, 0, 0, next, horizon};
    for (const PoolInstance& instance : observation.instances) {
      input.ready += instance.state == InstanceState::kReady ? 1 : 0;
      input.current += instance.state == InstanceState::kReady || instance.state == InstanceState::kStarting ? 1 : 0;
    }
    return other.propose(input);
  }
  void copy_state_to(Policy& other) const {
    StateWriter writer;
    policy->save(writer);
    const std::string text = writer.take();
    StateReader reader(text);
    other.restore(reader);
    EXPECT_TRUE(reader.ok() && reader.at_end()) << text;
  }

  std::unique_ptr<Policy> policy;
  PoolObservation observation;
  std::optional<TrafficForecast> next;
  std::optional<TrafficForecast> horizon;
  std::int64_t now = 1'700'000'000'000;
  Proposal newest;
};

}  // namespace flexpert::scaling
