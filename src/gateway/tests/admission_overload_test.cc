// Overload in simulated time: a pool that takes so many requests at once, each for a fixed time, behind the real admission.
#include <algorithm>
#include <map>
#include <queue>
#include <vector>

#include "base/rng.h"
#include "gateway/tests/admission_world.h"

namespace flexpert::gateway {
namespace {

constexpr std::uint32_t kSlots = 32;
constexpr double kPrefillS = 0.2;
constexpr double kTokenS = 0.01;
constexpr double kPatienceS = 1;  // an answer that begins later than this is worth nothing

struct Source {
  CallerPtr caller;
  double per_s = 0;
  std::uint64_t tokens = 32;  // of an answer on average: half to one and a half times as many
};

struct Outcome {
  std::uint64_t good = 0;
  std::uint64_t good_tokens = 0;
  std::vector<double> ttft_s;
};

/// Runs Poisson arrivals of all sources for `seconds`.
std::vector<Outcome> simulate(const std::vector<Source>& sources, double seconds, std::uint64_t seed) {
  AdmissionWorld world({.max_in_flight = kSlots, .max_queued = 200, .max_queue_s = kPatienceS - kPrefillS});
  struct Event {
    double at = 0;
    std::size_t source = 0;
    std::uint64_t request = 0;  // 0: an arrival
    bool operator>(const Event& other) const { return at > other.at; }
  };
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events;
  struct Live {
    std::unique_ptr<AdmissionWorld::Request> request;
    std::size_t source = 0;
    double came = 0;
    std::uint64_t tokens = 0;
    bool running = false;
  };
  std::map<std::uint64_t, Live> live;
  std::vector<Outcome> outcomes(sources.size());
  std::vector<Rng> rngs;  // one each, so that a source sends the same whoever is beside it
  for (std::size_t s = 0; s < sources.size(); ++s) {
    rngs.emplace_back(seed * 1000 + s);
    events.push({rngs[s].exponential(1 / sources[s].per_s), s});
  }
  double now = 0;
  std::uint64_t next = 0;
  while (!events.empty() && events.top().at < seconds) {
    const Event event = events.top();
    events.pop();
    world.clock.advance(from_seconds(event.at - now));
    now = event.at;
    const Source& source = sources[event.source];
    if (event.request == 0) {
      Rng& rng = rngs[event.source];
      events.push({now + rng.exponential(1 / source.per_s), event.source});
      const std::uint64_t tokens = source.tokens / 2 + rng.below(source.tokens + 1);
      live[++next] = {world.send(*source.caller, 0, tokens), event.source, now, tokens};
    } else {
      const Live& done = live.at(event.request);
      done.request->admitted->settle(0, done.tokens);
      live.erase(event.request);
    }
    world.settle();
    for (auto it = live.begin(); it != live.end();) {
      Live& one = it->second;
      if (one.request->admitted && !one.running) {
        one.running = true;
        events.push({now + kPrefillS + kTokenS * static_cast<double>(one.tokens), one.source, it->first});
        const double ttft = now + kPrefillS - one.came;
        outcomes[one.source].ttft_s.push_back(ttft);
        if (ttft <= kPatienceS) {
          ++outcomes[one.source].good;
          outcomes[one.source].good_tokens += one.tokens;
        }
      }
      it = one.request->refused ? live.erase(it) : std::next(it);
    }
  }
  return outcomes;
}

double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
}

constexpr double kCapacityPerS = kSlots / (kPrefillS + 32 * kTokenS);

TEST(AdmissionOverload, GoodputAtThreeTimesTheCapacityIsThatOfThePeak) {
  double peak = 0;
  for (const double load : {0.6, 0.8, 1.0, 1.2}) {
    const auto outcome = simulate({{caller_of("a"), load * kCapacityPerS}}, 40, 1)[0];
    peak = std::max(peak, static_cast<double>(outcome.good));
  }
  EXPECT_GT(peak, 0.9 * 40 * kCapacityPerS);
  EXPECT_GE(static_cast<double>(simulate({{caller_of("a"), 3 * kCapacityPerS}}, 40, 1)[0].good), 0.95 * peak);
}

TEST(AdmissionOverload, ALightTenantHardlyFeelsAHeavyOne) {
  const double light_per_s = 3 * kCapacityPerS / 51;
  const auto solo = simulate({{caller_of("light"), light_per_s}}, 60, 2)[0];
  const auto beside = simulate({{caller_of("light"), light_per_s}, {caller_of("heavy"), 50 * light_per_s}}, 60, 2)[0];
  EXPECT_LE(quantile(beside.ttft_s, 0.5), 1.5 * quantile(solo.ttft_s, 0.5));
  EXPECT_LE(quantile(beside.ttft_s, 0.95), 1.5 * quantile(solo.ttft_s, 0.95));
  EXPECT_EQ(beside.good, solo.good);
}

TEST(AdmissionOverload, EqualTenantsGetEqualTokensWhateverTheySend) {
  std::vector<Source> sources;
  for (int t = 0; t < 8; ++t) {
    const std::uint64_t tokens = t % 2 == 0 ? 16 : 48;
    sources.push_back({caller_of("t" + std::to_string(t)), kCapacityPerS / 8 * (2 + t) * 32 / static_cast<double>(tokens), tokens});
  }
  double sum = 0;
  double squares = 0;
  for (const Outcome& outcome : simulate(sources, 40, 3)) {
    sum += static_cast<double>(outcome.good_tokens);
    squares += static_cast<double>(outcome.good_tokens) * static_cast<double>(outcome.good_tokens);
  }
  EXPECT_GE(sum * sum / (8 * squares), 0.95);
}

}  // namespace
}  // namespace flexpert::gateway
