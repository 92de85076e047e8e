#include "engine/expert/remote_experts.h"

#include <algorithm>
#include <utility>

#include <poll.h>

#include "base/log.h"
#include "engine/expert/remote_experts_impl.h"
#include "engine/kernels/kernels.h"

namespace flexpert::engine {
namespace {

/// How long a new routing table may hold up a step to have its servers connected.
constexpr Duration kConnectStall = Milliseconds(1);

}  // namespace

RemoteExperts::Impl::Impl(std::shared_ptr<const PackFile> its_pack, ComputePool& pool, RemoteExpertsOptions its_options,
                          telemetry::Registry& registry, const Clock& its_clock)
    : pack(std::move(its_pack)), options(std::move(its_options)), metrics(registry), clock(its_clock), compute(pool),
      in_process(pack->geometry()), hello{options.model_fingerprint, options.model_epoch, kernel_identity(), pack->hidden_size(), pack->geometry()},
      replica_dispatch(options.expert_dispatch, options.dispatch_seed) {}

std::span<const std::uint16_t> RemoteExperts::Impl::replicas_of(ExpertSlot slot) const {
  if (!table) return {};
  return table->replicas[table->geometry.index(slot)];
}

/// What a server that has just been connected is expected to cost: its pace, or what the others like it have shown.
placement::ServiceCost RemoteExperts::Impl::first_guess(const Peer& peer) const {
  const double pace = peer.link.server().pace_rows_per_s;
  for (const auto& other : peers)
    if (pace <= 0 && other.get() != &peer && other->was_live && other->link.server().pace_rows_per_s <= 0) return other->cost;
  return placement::ServiceCost(pace);
}

/// Keeps metrics and log in step with a link's state.
void RemoteExperts::Impl::note_state(Peer& peer) {
  if (peer.link.live() != peer.was_live) {
    peer.was_live = peer.link.live();
    metrics.live.add(peer.was_live ? 1 : -1);
    if (peer.was_live) {
      if (peer.ever_live) metrics.reconnects.add();
      peer.ever_live = true;
      peer.logged_refusal.clear();
      peer.cost = first_guess(peer);
      peer.queue_rows = 0;
      peer.answered = false;
    }
    const bool paced = peer.was_live && peer.link.server().pace_rows_per_s > 0;
    if (paced != peer.counted_paced) metrics.paced.add(paced ? 1 : -1);
    peer.counted_paced = paced;
  }
  const bool suspect = !peer.overdue.empty();
  if (suspect != peer.counted_suspect) metrics.suspects.add(suspect ? 1 : -1);
  peer.counted_suspect = suspect;
  for (; peer.refusals < peer.link.refusals(); ++peer.refusals) metrics.refused.add();
  if (!peer.link.refusal().empty() && peer.logged_refusal != peer.link.refusal()) {
    peer.logged_refusal = peer.link.refusal();
    log::error("expert server refused: {} at {}: {}", peer.link.endpoint().id, peer.link.endpoint().address, peer.logged_refusal);
  }
}

void RemoteExperts::Impl::maintain() {
  const TimePoint now = clock.now();
  for (const auto& peer : peers) {
    peer->link.maintain(now);
    note_state(*peer);
    if (peer->to_prepare.empty() || !peer->link.live()) continue;
    wire::encode_prepare(peer->link.out(), next_correlation++, peer->to_prepare);
    peer->to_prepare.clear();
    if (const auto sent = peer->link.send(); !sent) lose(*peer, sent.error());
  }
}

/// Notes for each server the slots that the current table gives it and the one before did not, to tell it of them.
void RemoteExperts::Impl::note_new_slots(const RoutingTable* before) {
  constexpr std::size_t kNone = SIZE_MAX;
  std::vector<std::size_t> index_before(table->endpoints.size(), kNone);
  for (std::size_t e = 0; before != nullptr && e < index_before.size(); ++e) {
    const auto found = std::ranges::find(before->endpoints, table->endpoints[e]);
    if (found != before->endpoints.end()) index_before[e] = static_cast<std::size_t>(found - before->endpoints.begin());
  }
  for (std::size_t slot = 0; slot < table->replicas.size(); ++slot) {
    for (const std::uint16_t e : table->replicas[slot]) {
      const bool had = index_before[e] != kNone && std::ranges::find(before->replicas[slot], index_before[e]) != before->replicas[slot].end();
      if (!had) peers[e]->to_prepare.push_back(table->geometry.slot(slot));
    }
  }
}

/// Lets connects that are under way come to their end, for at most `longest`.
void RemoteExperts::Impl::connect_some(Duration longest) {
  const TimePoint end = clock.now() + longest;
  maintain();
  const auto on_its_way = [](const auto& peer) {
    return peer->link.state() == ExpertLink::State::kConnecting || peer->link.state() == ExpertLink::State::kGreeting;
  };
  for (TimePoint now = clock.now(); now < end && std::any_of(peers.begin(), peers.end(), on_its_way); now = clock.now())
    poll_links(nullptr, end - now);
}

RemoteExperts::RemoteExperts(std::shared_ptr<const PackFile> pack, ComputePool& pool, RemoteExpertsOptions options,
                             telemetry::Registry& metrics, const Clock& clock)
    : impl_(std::make_unique<Impl>(std::move(pack), pool, std::move(options), metrics, clock)) {}
RemoteExperts::~RemoteExperts() = default;

void RemoteExperts::begin_step(std::uint64_t) {
  impl_->maintain();
  impl_->poll_links(nullptr, Duration::zero());
  impl_->drop_late(impl_->clock.now());
}

void RemoteExperts::compute(const ExpertBatch& batch) { impl_->run(batch); }

Result<void> RemoteExperts::set_routing_table(std::shared_ptr<const RoutingTable> table) {
  if (impl_->table && table->epoch < impl_->table->epoch)
    return fail(ErrorCode::kFailedPrecondition, "routing table: epoch {} is older than the current {}", table->epoch, impl_->table->epoch);
  if (table->geometry != impl_->pack->geometry())
    return fail(ErrorCode::kInvalidArgument, "routing table: {} layers of {} experts, the model has {} of {}", table->geometry.layers,
                table->geometry.experts, impl_->pack->geometry().layers, impl_->pack->geometry().experts);
  FLEXPERT_TRY(validate(*table));
  std::vector<std::unique_ptr<Impl::Peer>> peers;
  for (const ExpertEndpoint& endpoint : table->endpoints) {
    const auto kept = std::find_if(impl_->peers.begin(), impl_->peers.end(),
                                   [&](const auto& peer) { return peer && peer->link.endpoint() == endpoint; });
    peers.push_back(kept != impl_->peers.end() ? std::move(*kept)
                                               : std::make_unique<Impl::Peer>(endpoint, impl_->hello, impl_->options.connect_timeout));
  }
  for (const auto& left : impl_->peers) {
    if (left && left->was_live) impl_->metrics.live.add(-1);
    if (left && left->counted_paced) impl_->metrics.paced.add(-1);
    if (left && left->counted_suspect) impl_->metrics.suspects.add(-1);
  }
  impl_->peers = std::move(peers);
  impl_->epoch.store(table->epoch, std::memory_order_relaxed);
  impl_->metrics.epoch.set(static_cast<double>(table->epoch));
  const auto before = std::exchange(impl_->table, std::move(table));
  impl_->note_new_slots(before.get());
  impl_->connect_some(kConnectStall);
  return {};
}

std::vector<std::uint64_t> RemoteExperts::in_process_rows() const { return impl_->in_process.snapshot(); }

std::uint64_t RemoteExperts::epoch() const { return impl_->epoch.load(std::memory_order_relaxed); }

bool RemoteExperts::wait_connected(Duration timeout) {
  const TimePoint end = impl_->clock.now() + timeout;
  while (true) {
    impl_->maintain();
    const bool all = std::all_of(impl_->peers.begin(), impl_->peers.end(), [](const auto& peer) { return peer->link.live(); });
    const TimePoint now = impl_->clock.now();
    if (all || now >= end) return all;
    impl_->poll_links(nullptr, std::min<Duration>(end - now, Milliseconds(1)));
  }
}

}  // namespace flexpert::engine
