#include "scaling/planner_census.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace flexpert::scaling {
namespace {

constexpr std::int64_t kSettledMs = 30'000;
constexpr std::int64_t kLeastForgetMs = 30'000;
constexpr std::int64_t kFirstBackoffMs = 30'000;
constexpr std::int64_t kLongestBackoffMs = 1'800'000;
constexpr std::int64_t kMostTracked = 100'000;

std::int64_t backoff_ms(std::uint32_t failures) {
  return std::min(kLongestBackoffMs, kFirstBackoffMs << std::min(failures - 1, 10U));
}

std::int64_t since(const PoolInstance& instance, std::int64_t unix_ms) {
  return instance.since_unix_ms > 0 ? std::min(instance.since_unix_ms, unix_ms) : unix_ms;
}

}  // namespace

Census take_census(const PoolObservation& pool, std::int64_t unix_ms, const CensusOptions& options, PoolRoster& roster) {
  Census census;
  const std::int64_t forget_ms = std::max(kLeastForgetMs, static_cast<std::int64_t>(3000 * options.interval_s));
  const auto never_ready_ms = static_cast<std::int64_t>(options.never_ready_s * 1000);
  std::map<InstanceId, InstanceTrack> seen;
  std::uint32_t starting = 0;
  bool settled = false;
  census.present.resize(pool.instances.size());
  for (std::size_t i = 0; i < pool.instances.size(); ++i) {
    const PoolInstance& instance = pool.instances[i];
    if (instance.state == InstanceState::kStopped) continue;
    ++census.held;
    auto [entry, first] = seen.try_emplace(instance.id);
    if (!first) continue;
    InstanceTrack& track = entry->second;
    if (const auto known = roster.tracks.find(instance.id); known != roster.tracks.end()) track = known->second;
    else if (!roster.unseen.empty()) roster.unseen.pop_front();

    if (instance.state == InstanceState::kDraining) {
      ++census.draining;
      continue;
    }
    if (track.leaving_unix_ms != 0 && unix_ms - track.leaving_unix_ms > forget_ms) track.leaving_unix_ms = 0;
    if (track.leaving_unix_ms != 0) {
      ++census.draining;
      continue;
    }
    if (instance.state == InstanceState::kReady) {
      if (track.unready_unix_ms != 0 && unix_ms - since(instance, unix_ms) >= kSettledMs) {
        track.unready_unix_ms = 0;
        settled = true;
      }
      track.overdue = false;
      ++census.ready;
    } else if (instance.state == InstanceState::kWarm) {
      settled = settled || track.unready_unix_ms != 0;
      track.unready_unix_ms = 0;
      if (!track.was_warm && roster.warm_bound > 0) --roster.warm_bound;
      track.was_warm = true;
      ++census.warm;
    } else {
      if (track.unready_unix_ms == 0) track.unready_unix_ms = since(instance, unix_ms);
      if (unix_ms - track.unready_unix_ms >= never_ready_ms) {
        census.overdue.push_back(instance.id);
        ++census.draining;
        continue;
      }
      ++starting;
    }
    census.present[i] = true;
  }
  roster.tracks = std::move(seen);
  while (!roster.unseen.empty() && unix_ms - roster.unseen.front().unix_ms > forget_ms) roster.unseen.pop_front();

  if (settled) {
    roster.failures = 0;
    roster.backoff_until_unix_ms = 0;
  }
  bool news = false;
  for (const InstanceId& id : census.overdue) {
    InstanceTrack& track = roster.tracks[id];
    news = news || !track.overdue;
    track.overdue = true;
    track.leaving_unix_ms = unix_ms;
  }
  if (news) {
    roster.failures = std::min(roster.failures + 1, 1000U);
    roster.backoff_until_unix_ms = unix_ms + backoff_ms(roster.failures);
  }
  const auto unseen = static_cast<std::uint32_t>(roster.unseen.size());
  census.held += unseen;
  census.probes = starting + unseen;
  roster.warm_bound = std::min(roster.warm_bound, census.probes);
  census.warm_bound = roster.warm_bound;
  census.starting = census.probes - roster.warm_bound;
  if (roster.failures > 0) {
    const double wait_s = static_cast<double>(std::max<std::int64_t>(0, roster.backoff_until_unix_ms - unix_ms)) / 1000;
    census.conditions.push_back(
        {"start_backoff",
         fmt::format("{} start-ups in a row did not become ready; the next try in {:.0f} s, one at a time", roster.failures, wait_s),
         {{"failures", roster.failures}, {"wait_s", wait_s}}});
  }
  return census;
}

std::uint32_t starts_allowed(const PoolRoster& roster, const Census& census, std::int64_t unix_ms) {
  if (roster.failures == 0) return std::numeric_limits<std::uint32_t>::max();
  return unix_ms >= roster.backoff_until_unix_ms && census.probes == 0 ? 1 : 0;
}

void PoolRoster::save(StateWriter& writer) const {
  writer.tag("roster/1");
  writer.integer(static_cast<std::int64_t>(tracks.size()));
  for (const auto& [id, track] : tracks) {
    writer.text(id.value);
    writer.integer(track.unready_unix_ms);
    writer.integer(track.leaving_unix_ms);
    writer.integer(track.resized_unix_ms);
    writer.integer((track.overdue ? 1 : 0) + (track.was_warm ? 2 : 0));
  }
  writer.integer(static_cast<std::int64_t>(unseen.size()));
  for (const OrderedStart& start : unseen) {
    writer.integer(start.unix_ms);
    writer.integer(start.warm ? 1 : 0);
  }
  writer.integer(warm_bound);
  writer.integer(failures);
  writer.integer(backoff_until_unix_ms);
}

void PoolRoster::restore(StateReader& reader) {
  *this = {};
  reader.tag("roster/1");
  const std::int64_t count = reader.integer();
  if (count < 0 || count > kMostTracked) reader.reject("a count of instances");
  for (std::int64_t i = 0; i < count && reader.ok(); ++i) {
    InstanceTrack& track = tracks[InstanceId{reader.text()}];
    track.unready_unix_ms = reader.integer();
    track.leaving_unix_ms = reader.integer();
    track.resized_unix_ms = reader.integer();
    const std::int64_t flags = reader.integer();
    track.overdue = (flags & 1) != 0;
    track.was_warm = (flags & 2) != 0;
  }
  const std::int64_t ordered = reader.integer();
  if (ordered < 0 || ordered > kMostTracked) reader.reject("a count of starts");
  for (std::int64_t i = 0; i < ordered && reader.ok(); ++i) {
    const std::int64_t at = reader.integer();
    unseen.push_back({at, reader.integer() != 0});
  }
  const std::int64_t bound = reader.integer();
  const std::int64_t failed = reader.integer();
  if (bound < 0 || bound > kMostTracked || failed < 0 || failed > 1000) reader.reject("a count in range");
  warm_bound = static_cast<std::uint32_t>(bound);
  failures = static_cast<std::uint32_t>(failed);
  backoff_until_unix_ms = reader.integer();
  if (!reader.ok()) *this = {};
}

}  // namespace flexpert::scaling
