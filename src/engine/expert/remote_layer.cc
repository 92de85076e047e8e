#include <algorithm>
#include <cstring>

#include <poll.h>

#include "base/check.h"
#include "base/log.h"
#include "engine/expert/remote_experts_impl.h"

namespace flexpert::engine {
namespace {

/// What sending one more batch and receiving its answer costs this thread.
constexpr double kMessageNs = 10000;
/// An answer that takes so many times longer than expected is not waited for.
constexpr int kLateFactor = 8;
/// Patience with the first batch of a connection, before anything was learned: the server may read weights from disk.
constexpr Duration kFirstPatience = Seconds(1);
/// What one overdue batch may teach, in times of what was expected: its time may be that of a stopped process.
constexpr double kMostOverdue = 4;

/// Counts the rows of restricted requests that `shares` hold, and checks them.
std::uint32_t count_restricted_of(const ExpertBatch& batch, std::span<const BatchShare> shares) {
  std::uint32_t count = 0;
  for (const BatchShare& share : shares) {
    const ExpertGroup& group = batch.groups[share.group];
    count += count_restricted(batch.masks, {batch.layer, group.expert}, group.rows.subspan(share.first, share.count));
  }
  return count;
}

}  // namespace

void RemoteExperts::Impl::run(const ExpertBatch& batch) {
  todo.clear();
  local.clear();
  lost_any = false;
  for (std::uint32_t g = 0; g < batch.groups.size(); ++g) {
    FLEXPERT_CHECK(pack->expert({batch.layer, batch.groups[g].expert}) != nullptr,
                   "the model asks for an expert that its pack file does not have");
    if (!batch.groups[g].rows.empty()) todo.push_back({g, 0, static_cast<std::uint32_t>(batch.groups[g].rows.size())});
  }
  dispatch(batch);
  while (true) {
    compute_local(batch);
    if (!waiting()) break;
    const TimePoint now = clock.now();
    poll_links(&batch, until_deadline(now));
    ask_silent(clock.now());
    drop_late(clock.now());
    if (!todo.empty()) dispatch(batch);
  }
  if (lost_any) metrics.stall.observe(to_seconds(clock.now() - lost_at));
}

/// Gives everything in `todo` to live replicas, and what has none to `local`.
void RemoteExperts::Impl::dispatch(const ExpertBatch& batch) {
  const TimePoint now = clock.now();
  loads.clear();
  for (const auto& peer : peers) {
    loads.push_back({peer->usable(), peer->queue_at(now), peer->cost.ns_per_row(), peer->cost.ns_per_expert(), kMessageNs,
                     peer->link.on_this_host()});
  }
  dispatch_groups.clear();
  for (const BatchShare& share : todo) {
    const ExpertSlot slot{batch.layer, batch.groups[share.group].expert};
    dispatch_groups.push_back({share.count, replicas_of(slot), static_cast<std::uint32_t>(pack->geometry().index(slot))});
  }
  const auto pieces = replica_dispatch.assign(loads, dispatch_groups, next_correlation);
  auto piece = pieces.begin();
  for (std::uint32_t i = 0; i < todo.size(); ++i) {
    if (piece == pieces.end() || piece->group != i) {
      local.push_back(todo[i]);
      (dispatch_groups[i].replicas.empty() ? metrics.local_rows : metrics.fallback_rows).add(todo[i].count);
    }
    for (; piece != pieces.end() && piece->group == i; ++piece)
      peers[piece->endpoint]->shares.push_back({todo[i].group, todo[i].first + piece->first, piece->count});
  }
  todo.clear();
  for (const auto& peer : peers)
    if (!peer->shares.empty()) send_batch(batch, *peer);
  // A server that failed while it was sent to has given its share back.
  if (!todo.empty()) dispatch(batch);
}

void RemoteExperts::Impl::send_batch(const ExpertBatch& batch, Peer& peer) {
  batch_frame.gather(batch, peer.shares);
  if (!batch_frame.fits()) {
    // More than a frame holds: done here, whatever it costs.
    metrics.fallback_rows.add(batch_frame.assignments());
    local.insert(local.end(), peer.shares.begin(), peer.shares.end());
    peer.shares.clear();
    return;
  }
  if (!batch.masks.empty()) metrics.restricted_remote.add(count_restricted_of(batch, peer.shares));
  const std::uint64_t correlation = next_correlation++;
  const Duration queued = from_seconds(std::min(peer.queue_at(clock.now()) * peer.cost.ns_per_row() * 1e-9, 60.0));
  batch_frame.write(peer.link.out(), correlation, peer.link.server().instance);
  Outstanding sent;
  if (!spare_shares.empty()) {
    sent.shares = std::move(spare_shares.back());
    spare_shares.pop_back();
  }
  sent.shares.swap(peer.shares);
  sent.correlation = correlation;
  sent.assignments = batch_frame.assignments();
  sent.experts = batch_frame.distinct_experts();
  const TimePoint now = clock.now();
  const Duration expected = peer.expected(sent.assignments, sent.experts);
  const bool learned = peer.answered || peer.link.server().pace_rows_per_s > 0;
  sent.sent_at = now;
  const Duration patience = learned ? options.least_patience : std::max(options.least_patience, kFirstPatience);
  sent.late_at = now + std::max<Duration>(kLateFactor * (queued + expected), patience);
  sent.deadline = now + options.batch_timeout + 2 * (queued + expected);
  peer.outstanding.push_back(std::move(sent));
  if (const auto written = peer.link.send(); !written) lose(peer, written.error());
}

void RemoteExperts::Impl::compute_local(const ExpertBatch& batch) {
  if (local.empty()) return;
  if (!batch.masks.empty()) metrics.restricted_local.add(count_restricted_of(batch, local));
  compute_groups.clear();
  for (const BatchShare& share : local) {
    const ExpertGroup& group = batch.groups[share.group];
    in_process.add({batch.layer, group.expert}, share.count);
    compute_groups.push_back({pack->expert({batch.layer, group.expert}), group.rows.subspan(share.first, share.count),
                              group.out + std::size_t{share.first} * batch.hidden});
  }
  local.clear();
  // What others are to compute must be on its way before this thread is busy.
  while (std::any_of(peers.begin(), peers.end(), [](const auto& peer) { return peer->usable() && peer->link.unsent(); })) {
    poll_links(&batch, until_deadline(clock.now()));
    drop_late(clock.now());
  }
  compute.run(batch.rows, batch.hidden, compute_groups);
}

bool RemoteExperts::Impl::waiting() const {
  return std::any_of(peers.begin(), peers.end(), [](const auto& peer) { return !peer->outstanding.empty(); }) || !todo.empty();
}

Duration RemoteExperts::Impl::until_deadline(TimePoint now) const {
  if (!todo.empty()) return Duration::zero();
  Duration left = options.batch_timeout;
  for (const auto& peer : peers) {
    if (!peer->outstanding.empty()) left = std::min<Duration>(left, peer->ask_at(options.least_patience) - now);
    for (const Outstanding& sent : peer->outstanding)
      left = std::min<Duration>(left, std::min(sent.deadline, peer->late_at(sent, options.least_patience)) - now);
  }
  return std::max(left, Duration::zero());
}

/// Waits until some link is ready or `longest` is over, and does what is ready. `batch` is null between layers.
void RemoteExperts::Impl::poll_links(const ExpertBatch* batch, Duration longest) {
  poll_fds.clear();
  polled.clear();
  for (const auto& peer : peers) {
    if (peer->link.fd() < 0) continue;
    poll_fds.push_back({.fd = peer->link.fd(), .events = peer->link.wanted_events(), .revents = 0});
    polled.push_back(peer.get());
  }
  const timespec timeout{.tv_sec = longest.count() / 1'000'000'000, .tv_nsec = longest.count() % 1'000'000'000};
  const int ready = ::ppoll(poll_fds.data(), poll_fds.size(), &timeout, nullptr);
  if (ready <= 0) return;
  const TimePoint now = clock.now();
  for (std::size_t i = 0; i < polled.size(); ++i) {
    if (poll_fds[i].revents == 0) continue;
    Peer& peer = *polled[i];
    peer.heard_at = now;
    const auto done = peer.link.on_ready(poll_fds[i].revents, now);
    note_state(peer);
    // What came before the end of a connection still counts.
    take_frames(batch, peer);
    if (!done && peer.link.state() != ExpertLink::State::kDown) lose(peer, done.error());
  }
}

void RemoteExperts::Impl::take_frames(const ExpertBatch* batch, Peer& peer) {
  while (peer.link.live()) {
    const auto frame = peer.link.next_frame();
    if (!frame) return lose(peer, frame.error());
    if (!*frame) return;
    if ((*frame)->type == wire::FrameType::kResult || (*frame)->type == wire::FrameType::kError) take_result(batch, peer, **frame);
  }
}

void RemoteExperts::Impl::take_result(const ExpertBatch* batch, Peer& peer, const wire::Frame& frame) {
  const auto found = std::find_if(peer.outstanding.begin(), peer.outstanding.end(),
                                  [&](const Outstanding& sent) { return sent.correlation == frame.correlation; });
  if (const auto late = std::find_if(peer.overdue.begin(), peer.overdue.end(),
                                     [&](const Outstanding& sent) { return sent.correlation == frame.correlation; });
      late != peer.overdue.end()) {
    const Outstanding answered = std::move(*late);
    peer.overdue.erase(late);
    return answer_overdue(peer, answered, frame);
  }
  if (found == peer.outstanding.end() || batch == nullptr) return;
  if (frame.type == wire::FrameType::kError) {
    const auto error = wire::decode_error(frame.payload);
    return lose(peer, error ? Error{error->code, error->text} : error.error());
  }
  const auto result = wire::decode_result(frame.payload);
  if (!result) return lose(peer, result.error());
  if (result->assignments != found->assignments || result->hidden != batch->hidden)
    return lose(peer, Error{ErrorCode::kDataLoss, "an answer of another size than its batch"});
  const float* from = result->outputs.data();
  for (const BatchShare& share : found->shares) {
    const std::size_t floats = std::size_t{share.count} * batch->hidden;
    std::memcpy(batch->groups[share.group].out + std::size_t{share.first} * batch->hidden, from, floats * sizeof(float));
    from += floats;
  }
  peer.cost.observe(found->assignments, found->experts, static_cast<double>(result->service_ns));
  peer.queue_rows = result->queue_rows;
  peer.queue_seen = clock.now();
  peer.answered = true;
  metrics.batches.add();
  metrics.rows.add(found->assignments);
  found->shares.clear();
  spare_shares.push_back(std::move(found->shares));
  peer.outstanding.erase(found);
}

/// A server that was not waited for has answered: nothing is done with the outputs, but it may be used again.
void RemoteExperts::Impl::answer_overdue(Peer& peer, const Outstanding& late, const wire::Frame& frame) {
  if (frame.type == wire::FrameType::kResult) {
    const auto result = wire::decode_result(frame.payload);
    if (!result) return lose(peer, result.error());
    double service_ns = static_cast<double>(result->service_ns);
    if (peer.answered) service_ns = std::min(service_ns, kMostOverdue * to_seconds(peer.expected(late.assignments, late.experts)) * 1e9);
    peer.cost.observe(late.assignments, late.experts, service_ns);
    peer.queue_rows = result->queue_rows;
    peer.queue_seen = clock.now();
    peer.answered = true;
  }
  note_state(peer);
  if (peer.overdue.empty()) log::info("expert server answers again: {} at {}", peer.link.endpoint().id, peer.link.endpoint().address);
}

/// Takes back what `peer` should have answered by now; it is told nothing, its late answers are known by their ids.
void RemoteExperts::Impl::hedge(Peer& peer, TimePoint now) {
  if (peer.overdue.empty())
    log::warn("expert server does not answer: {} at {}; its work is done elsewhere", peer.link.endpoint().id, peer.link.endpoint().address);
  if (!lost_any) lost_at = now;
  lost_any = true;
  // All of them: a server answers in order, and gets nothing more to do while it is suspect.
  for (Outstanding& sent : peer.outstanding) {
    metrics.hedged.add();
    take_back(sent);
    peer.overdue.push_back(std::move(sent));
  }
  peer.outstanding.clear();
  note_state(peer);
}

void RemoteExperts::Impl::take_back(Outstanding& lost) {
  todo.insert(todo.end(), lost.shares.begin(), lost.shares.end());
  lost.shares.clear();
  spare_shares.push_back(std::move(lost.shares));
}

void RemoteExperts::Impl::lose(Peer& peer, const Error& error) {
  const TimePoint now = clock.now();
  peer.link.fail(now);
  if (peer.was_live) {
    metrics.failures.add();
    log::warn("expert server lost: {} at {}: {}", peer.link.endpoint().id, peer.link.endpoint().address, error.message);
  }
  peer.overdue.clear();
  note_state(peer);
  if (peer.outstanding.empty()) return;
  if (!lost_any) lost_at = now;
  lost_any = true;
  for (Outstanding& sent : peer.outstanding) take_back(sent);
  peer.outstanding.clear();
}

/// Asks servers that are silent for a word: one that is only slow gives it at once, and is waited for.
void RemoteExperts::Impl::ask_silent(TimePoint now) {
  for (const auto& peer : peers) {
    if (!peer->link.live() || now < peer->ask_at(options.least_patience)) continue;
    peer->asked_at = now;
    wire::encode_empty(peer->link.out(), next_correlation++, wire::FrameType::kStats);
    if (const auto sent = peer->link.send(); !sent) lose(*peer, sent.error());
  }
}

void RemoteExperts::Impl::drop_late(TimePoint now) {
  const auto over = [now](const Outstanding& sent) { return now >= sent.deadline; };
  for (const auto& peer : peers) {
    if (std::ranges::any_of(peer->outstanding, over) || std::ranges::any_of(peer->overdue, over)) {
      lose(*peer, Error{ErrorCode::kDeadlineExceeded, "no answer in time"});
      continue;
    }
    const auto late = [&](const Outstanding& sent) { return now >= peer->late_at(sent, options.least_patience); };
    if (std::ranges::any_of(peer->outstanding, late)) hedge(*peer, now);
  }
}

}  // namespace flexpert::engine
