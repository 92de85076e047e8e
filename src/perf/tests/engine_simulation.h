#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <deque>
#include <vector>

#include "base/rng.h"
#include "perf/engine_model.h"

/// One engine instance step by step, to check the model's formulas against.
namespace flexpert::perf {

struct SimulatedRequest {
  double arrives = 0;
  double isl = 1;
  double osl = 1;
  double first_token = 0;
  double last_token = 0;

  [[nodiscard]] double ttft() const { return first_token - arrives; }
  [[nodiscard]] double itl() const { return osl > 1 ? (last_token - first_token) / (osl - 1) : 0; }
};

/// Continuous batching as vLLM's: every step gives each decoding sequence a token and fills the rest of the chunk with
/// prompts, first come, first served; a sequence is admitted while the batch and the KV cache have room.
inline void simulate(const StepCoefficients& c, const EngineLimits& limits, EngineRole role, std::vector<SimulatedRequest>& requests) {
  struct Running {
    std::size_t request;
    double prompt_left;
    double tokens = 0;  // produced
    double context;
  };
  std::deque<std::size_t> waiting;
  std::vector<Running> running;
  std::size_t next = 0;
  double now = 0, kv = 0;
  while (next < requests.size() || !running.empty() || !waiting.empty()) {
    if (running.empty() && waiting.empty()) now = std::max(now, requests[next].arrives);
    for (; next < requests.size() && requests[next].arrives <= now; ++next) waiting.push_back(next);
    const EngineModel model(c, limits);
    double chunk = limits.chunk_tokens, fresh = 0, batch = 0, read = 0;
    std::vector<double> computed(running.size(), 0);
    for (std::size_t i = 0; i < running.size(); ++i) {
      if (running[i].prompt_left > 0) continue;
      batch += 1;
      read += running[i].context;
    }
    const auto prefill = [&](Running& r) {
      const double tokens = std::min(chunk - fresh, r.prompt_left);
      fresh += tokens;
      r.context += tokens;
      read += r.context;
      return tokens;
    };
    for (std::size_t i = 0; i < running.size() && fresh < chunk; ++i) {
      if (running[i].prompt_left > 0) computed[i] = prefill(running[i]);
    }
    while (!waiting.empty() && fresh < chunk && static_cast<double>(running.size()) < limits.max_batch) {
      const SimulatedRequest& r = requests[waiting.front()];
      if (kv + r.isl > limits.kv_tokens) break;
      const bool decode_only = role == EngineRole::kDecode;
      running.push_back({waiting.front(), decode_only ? 0 : r.isl, 0, decode_only ? r.isl : 0});
      computed.push_back(0);
      kv += r.isl;
      waiting.pop_front();
      if (decode_only) {
        batch += 1;
        read += r.isl;
      } else {
        computed.back() = prefill(running.back());
      }
    }
    now += model.step_s(fresh, batch, read);
    std::vector<Running> left;
    for (std::size_t i = 0; i < running.size(); ++i) {
      Running& r = running[i];
      SimulatedRequest& request = requests[r.request];
      if (r.prompt_left > 0) {
        r.prompt_left -= computed[i];
        if (r.prompt_left > 0) {
          left.push_back(r);
          continue;
        }
      }
      r.tokens += 1;
      r.context += 1;
      if (r.tokens == 1) request.first_token = now;
      if (r.tokens >= request.osl || role == EngineRole::kPrefill) {
        request.last_token = now;
      } else {
        left.push_back(r);
      }
    }
    kv = 0;
    for (const Running& r : left) kv += r.context + r.prompt_left;
    for (; kv > limits.kv_tokens && left.size() > 1; left.pop_back()) {  // the newest gives way, and starts again
      kv -= left.back().context + left.back().prompt_left;
      waiting.push_front(left.back().request);
    }
    running.swap(left);
  }
}

/// Poisson arrivals; lengths exponential (spread 1) or all alike (0).
inline std::vector<SimulatedRequest> poisson_requests(Rng& rng, std::size_t count, double rate, const Workload& load) {
  std::vector<SimulatedRequest> requests(count);
  double at = 0;
  for (SimulatedRequest& r : requests) {
    at += rng.exponential(1 / rate);
    r.arrives = at;
    const bool spread = load.isl_spread > 0;
    r.isl = std::max(1.0, std::round(spread ? rng.exponential(load.isl) : load.isl));
    r.osl = std::max(1.0, std::round(spread ? rng.exponential(load.osl) : load.osl));
  }
  return requests;
}

struct SimulatedLatency {
  double ttft_s = 0;
  double itl_s = 0;
  double mean_ttft_s = 0;
  double mean_itl_s = 0;
};

/// Latencies at a percentile, the first fifth left out. A request counts for ITL with at least two tokens.
inline SimulatedLatency latency_of(const std::vector<SimulatedRequest>& requests, double percentile) {
  std::vector<double> ttft, itl;
  SimulatedLatency result;
  double tokens = 0, time = 0;
  for (std::size_t i = requests.size() / 5; i < requests.size(); ++i) {
    ttft.push_back(requests[i].ttft());
    result.mean_ttft_s += requests[i].ttft();
    if (requests[i].osl < 2) continue;
    itl.push_back(requests[i].itl());
    tokens += requests[i].osl - 1;
    time += requests[i].last_token - requests[i].first_token;
  }
  const auto quantile = [&](std::vector<double>& values) {
    if (values.empty()) return 0.0;
    const auto at = values.begin() + static_cast<std::ptrdiff_t>(percentile * static_cast<double>(values.size() - 1));
    std::ranges::nth_element(values, at);
    return *at;
  };
  result.mean_ttft_s /= static_cast<double>(ttft.size());
  result.mean_itl_s = tokens > 0 ? time / tokens : 0;
  result.ttft_s = quantile(ttft);
  result.itl_s = quantile(itl);
  return result;
}

}  // namespace flexpert::perf
