// Bar 7 of the gateway: three times as much as paced upstreams can take. Goodput against its peak, a light tenant beside one that
// sends fifty times as much, and equal tenants that all want more than their share.
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "overload/gateway_for_tenants.h"
#include "overload/paced_upstream.h"
#include "overload/tenant_load.h"
#include "rig/measurement.h"

namespace flexpert::bench {
namespace {

constexpr std::size_t kEngines = 8;
constexpr PacedEngine kEngine{.slots = 16, .first_token = Milliseconds(200), .token = Milliseconds(20)};
constexpr std::uint32_t kTokens = 32;
constexpr double kSlots = kEngines * kEngine.slots;
/// Answers per second that all slots together give.
const double kCapacity = kSlots / (to_seconds(kEngine.first_token) + (kTokens - 1) * to_seconds(kEngine.token));
constexpr Duration kPatience = Milliseconds(1500);
constexpr std::size_t kEqualTenants = 8;
constexpr double kTimesAsMuch = 50;

/// Jain, Chiu, Hawe 1984: 1 = all the same.
double jain(const std::vector<double>& shares) {
  double sum = 0;
  double squares = 0;
  for (const double share : shares) {
    sum += share;
    squares += share * share;
  }
  return squares > 0 ? sum * sum / (static_cast<double>(shares.size()) * squares) : 0;
}

/// What must not happen to anybody under overload, over all runs.
struct Faults {
  std::uint64_t broken = 0;
  std::uint64_t without_retry_after = 0;
  std::map<std::string, std::uint64_t> refused{};

  void add(const std::vector<TenantResult>& results) {
    for (const TenantResult& result : results) {
      broken += result.broken;
      without_retry_after += result.without_retry_after;
      for (const auto& [why, count] : result.refused) refused[why] += count;
    }
  }
};

double good_per_s(const std::vector<TenantResult>& results, const LoadWindow& window) {
  double good = 0;
  for (const TenantResult& result : results) good += static_cast<double>(result.good);
  return good / to_seconds(window.measured);
}

void measure_goodput(std::uint16_t port, const std::string& key, Figures& figures, Faults& faults) {
  const LoadWindow window{.warm_up = Seconds(3), .measured = Seconds(10), .patience = kPatience};
  double peak = 0;
  double at_three = 0;
  for (const double times : {0.6, 0.8, 1.0, 1.2, 3.0}) {
    const auto results = run_tenants(port, {{.api_key = key, .per_s = times * kCapacity, .tokens = kTokens, .seed = 1}}, window);
    faults.add(results);
    const double good = good_per_s(results, window);
    figures.note(fmt::format("goodput.at_{:.1f}", times), good, "answers/s");
    (times > 2 ? at_three : peak) = std::max(times > 2 ? at_three : peak, good);
  }
  figures.note("goodput.peak", peak, "answers/s");
  figures.hold("goodput.at_3x_of_peak", at_three / peak, "ratio", ">= 0.95", at_three >= 0.95 * peak);
}

/// The same load on one engine without anything in front of it, which queues without end.
Result<void> note_without_gateway(Figures& figures) {
  FLEXPERT_ASSIGN(const auto engine, PacedUpstreams::start(1, kEngine));
  const LoadWindow window{.warm_up = Seconds(3), .measured = Seconds(10), .patience = kPatience};
  const double capacity = kCapacity / kEngines;
  const auto results = run_tenants(engine->ports().front(), {{.api_key = {}, .per_s = 3 * capacity, .tokens = kTokens, .seed = 1}}, window);
  figures.note("goodput.at_3x_without_gateway", good_per_s(results, window) / capacity, "of capacity");
  return {};
}

void measure_light_tenant(std::uint16_t port, const std::string& light_key, const std::string& heavy_key, Figures& figures,
                          Faults& faults) {
  const LoadWindow window{.warm_up = Seconds(3), .measured = Seconds(30), .patience = kPatience};
  const double light_per_s = 3 * kCapacity / (kTimesAsMuch + 1);
  const TenantLoad light{.api_key = light_key, .per_s = light_per_s, .tokens = kTokens, .seed = 7};
  const TenantLoad heavy{.api_key = heavy_key, .per_s = kTimesAsMuch * light_per_s, .tokens = kTokens, .seed = 8};
  const auto solo = run_tenants(port, {light}, window);
  const auto beside = run_tenants(port, {light, heavy}, window);
  faults.add(solo);
  faults.add(beside);
  figures.note("light_tenant.requests", static_cast<double>(beside[0].sent), "requests");
  figures.note("heavy_tenant.requests", static_cast<double>(beside[1].sent), "requests");
  for (const double q : {0.5, 0.95}) {
    const double alone = quantile(solo[0].ttft_ms, q);
    const double now = quantile(beside[0].ttft_ms, q);
    const std::string name = fmt::format("light_tenant.ttft_p{:.0f}", 100 * q);
    figures.note(name + ".solo", alone, "ms");
    figures.note(name + ".beside", now, "ms");
    figures.hold(name + ".times_solo", now / alone, "ratio", "<= 1.5", alone > 0 && now > 0 && now <= 1.5 * alone);
  }
  const std::uint64_t lost = beside[0].broken + beside[0].late + beside[0].refused.size();
  figures.hold("light_tenant.refused_or_late", static_cast<double>(lost), "requests", "0", lost == 0);
}

void measure_equal_tenants(std::uint16_t port, const std::vector<std::string>& keys, Figures& figures, Faults& faults) {
  const LoadWindow window{.warm_up = Seconds(3), .measured = Seconds(20), .patience = kPatience};
  std::vector<TenantLoad> loads;
  // Short answers and long ones; from 1.3 to 4.7 times the fair share, three times the capacity together.
  for (std::size_t t = 0; t < kEqualTenants; ++t) {
    const std::uint32_t tokens = t % 2 == 0 ? kTokens / 2 : kTokens + kTokens / 2;
    const double times = 3 + (static_cast<double>(t) - 3.5) * 0.485;
    loads.push_back({.api_key = keys[t], .per_s = times * kCapacity / kEqualTenants * kTokens / tokens, .tokens = tokens, .seed = 100 + t});
  }
  const auto results = run_tenants(port, loads, window);
  faults.add(results);
  std::vector<double> tokens;
  for (const TenantResult& result : results) tokens.push_back(static_cast<double>(result.good_tokens));  // prompts' and answers'
  for (std::size_t t = 0; t < kEqualTenants; ++t)
    figures.note(fmt::format("equal_tenants.{}.tokens", t), tokens[t] / to_seconds(window.measured), "tokens/s");
  figures.hold("equal_tenants.jain_index", jain(tokens), "ratio", ">= 0.95", jain(tokens) >= 0.95);
}

Result<void> measure(const std::string& program, Figures& figures) {
  FLEXPERT_TRY(note_without_gateway(figures));
  FLEXPERT_ASSIGN(const auto engines, PacedUpstreams::start(kEngines, kEngine));
  const BenchFolder folder;
  std::vector<TenantSetting> tenants{{.name = "all"}, {.name = "light"}, {.name = "heavy"}};
  for (std::size_t t = 0; t < kEqualTenants; ++t) tenants.push_back({.name = fmt::format("equal-{}", t)});
  const std::string admission = fmt::format("  admission: {{max_in_flight: {:.0f}, max_queued: 1000, max_queue_s: 1}}\n", kSlots);
  FLEXPERT_ASSIGN(TenantGateway gateway, start_tenant_gateway(folder, program, engines->ports(), tenants, admission));
  const std::uint16_t port = gateway.proxy->port();
  figures.note("capacity", kCapacity, "answers/s");
  Faults faults;
  measure_goodput(port, gateway.api_keys[0], figures, faults);
  measure_light_tenant(port, gateway.api_keys[1], gateway.api_keys[2], figures, faults);
  measure_equal_tenants(port, {gateway.api_keys.begin() + 3, gateway.api_keys.end()}, figures, faults);
  std::uint64_t unexpected = 0;
  for (const auto& [why, count] : faults.refused) {
    figures.note("refused." + why, static_cast<double>(count), "requests");
    if (!why.starts_with("503") && !why.starts_with("429") && !why.starts_with("529")) unexpected += count;
  }
  figures.hold("refusals.of_other_kinds", static_cast<double>(unexpected), "requests", "0", unexpected == 0);
  figures.hold("refusals.without_retry_after", static_cast<double>(faults.without_retry_after), "requests", "0",
               faults.without_retry_after == 0);
  figures.hold("broken_answers", static_cast<double>(faults.broken), "answers", "0", faults.broken == 0);
  return {};
}

}  // namespace
}  // namespace flexpert::bench

int main(int argc, char** argv) {
  return flexpert::bench::run_gateway_measurement(
      argc, argv, "gateway-overload",
      "the gateway process before 8 EMULATED engines that take 16 requests each and pace tokens by timers (200 ms, then 20 ms each, 16 to "
      "48 "
      "tokens); Poisson arrivals in open loop, no retries; goodput = whole answers begun within 1.5 s",
      flexpert::bench::measure);
}
