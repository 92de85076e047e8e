#include "engine/expert/remote_experts.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

#include <poll.h>

#include "base/check.h"
#include "base/log.h"
#include "engine/expert/expert_link.h"
#include "engine/expert/group_compute.h"
#include "engine/kernels/kernels.h"
#include "placement/replica_dispatch.h"

namespace flexpert::engine {
namespace {

namespace wire = expert_protocol;

/// How long a new routing table may hold up a step to have its servers connected.
constexpr Duration kConnectStall = Milliseconds(1);

struct RemoteMetrics {
  explicit RemoteMetrics(telemetry::Registry& registry)
      : batches(registry.counter("flexpert_remote_experts_batches_total", "Batches answered by expert servers.")),
        rows(registry.counter("flexpert_remote_experts_rows_total", "Expert rows computed by expert servers.")),
        local_rows(registry.counter("flexpert_remote_experts_local_rows_total", "Expert rows computed here because the table has no replica.")),
        fallback_rows(registry.counter("flexpert_remote_experts_fallback_rows_total", "Expert rows computed here because no replica was usable.")),
        failures(registry.counter("flexpert_remote_experts_failures_total", "Connections to expert servers lost.")),
        reconnects(registry.counter("flexpert_remote_experts_reconnects_total", "Connections made anew after a failure.")),
        refused(registry.counter("flexpert_remote_experts_refused_total", "Hellos that ended in a refusal.")),
        epoch(registry.gauge("flexpert_remote_experts_epoch", "Epoch of the routing table in use.")),
        live(registry.gauge("flexpert_remote_experts_live_endpoints", "Expert servers connected.")),
        stall(registry.histogram("flexpert_remote_experts_stall_seconds",
                                 "Time from the loss of a server to the end of the layer that lost it.",
                                 {50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 2e-3, 5e-3, 10e-3, 20e-3, 50e-3, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30})) {}

  telemetry::Counter batches, rows, local_rows, fallback_rows, failures, reconnects, refused;
  telemetry::Gauge epoch, live;
  telemetry::Histogram stall;
};

/// A run of one batch group's rows.
struct Share {
  std::uint32_t group = 0;
  std::uint32_t first = 0;
  std::uint32_t count = 0;
};

struct Outstanding {
  std::uint64_t correlation = 0;
  std::vector<Share> shares;
  std::uint32_t assignments = 0;
  std::uint32_t experts = 0;
  TimePoint deadline;
};

}  // namespace

struct RemoteExperts::Impl {
  struct Peer {
    Peer(const ExpertEndpoint& endpoint, const wire::Hello& hello, Duration timeout) : link(endpoint, hello, timeout) {}

    ExpertLink link;
    placement::ServiceCost cost;
    double queue_rows = 0;
    TimePoint queue_at{};
    std::vector<Outstanding> outstanding;
    std::vector<Share> shares;  ///< being collected for the next batch
    bool was_live = false;
    bool ever_live = false;
    std::string logged_refusal;
    std::uint64_t refusals = 0;
  };

  Impl(std::shared_ptr<const PackFile> its_pack, ComputePool& pool, RemoteExpertsOptions its_options, telemetry::Registry& registry,
       const Clock& its_clock)
      : pack(std::move(its_pack)), options(std::move(its_options)), metrics(registry), clock(its_clock), compute(pool),
        hello{options.model_fingerprint, options.model_epoch, kernel_identity(), pack->hidden_size(), pack->geometry()} {}

  void run(const ExpertBatch& batch);
  void dispatch(const ExpertBatch& batch);
  void send_batch(const ExpertBatch& batch, Peer& peer);
  void compute_local(const ExpertBatch& batch);
  void poll_links(const ExpertBatch* batch, Duration longest);
  void take_frames(const ExpertBatch* batch, Peer& peer);
  void take_result(const ExpertBatch* batch, Peer& peer, const wire::Frame& frame);
  void lose(Peer& peer, const Error& error);
  void take_back(Outstanding& lost);
  void note_state(Peer& peer);
  void maintain();
  void connect_some(Duration longest);
  void drop_late(TimePoint now);
  [[nodiscard]] bool waiting() const;
  [[nodiscard]] Duration until_deadline(TimePoint now) const;
  [[nodiscard]] std::span<const std::uint16_t> replicas_of(ExpertSlot slot) const;
  Result<std::vector<float>> wait_for_row(Peer& peer, std::uint64_t correlation, TimePoint deadline);

  std::shared_ptr<const PackFile> pack;
  RemoteExpertsOptions options;
  RemoteMetrics metrics;
  const Clock& clock;
  GroupCompute compute;
  wire::Hello hello;
  std::shared_ptr<const RoutingTable> table;
  std::atomic<std::uint64_t> epoch{0};
  std::vector<std::unique_ptr<Peer>> peers;  ///< as table->endpoints
  std::uint64_t next_correlation = 1;
  placement::ReplicaDispatch replica_dispatch;
  TimePoint lost_at{};  ///< when this layer first lost a server
  bool lost_any = false;

  // Kept for their memory.
  std::vector<Share> todo;   ///< to be given to a replica or to this process
  std::vector<Share> local;
  std::vector<placement::ReplicaLoad> loads;
  std::vector<placement::DispatchGroup> dispatch_groups;
  std::vector<ComputeGroup> compute_groups;
  std::vector<wire::BatchGroup> wire_groups;
  std::vector<std::uint32_t> row_of;     ///< layer row -> row on the wire
  std::vector<std::uint32_t> wire_rows;  ///< row on the wire -> layer row
  std::vector<std::uint32_t> indices;
  std::vector<pollfd> poll_fds;
  std::vector<Peer*> polled;
  std::vector<std::vector<Share>> spare_shares;
};

std::span<const std::uint16_t> RemoteExperts::Impl::replicas_of(ExpertSlot slot) const {
  if (!table) return {};
  return table->replicas[table->geometry.index(slot)];
}

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
    double queue = std::max(0.0, peer->queue_rows - to_seconds(now - peer->queue_at) * 1e9 / peer->cost.ns_per_row());
    for (const Outstanding& sent : peer->outstanding) queue += sent.assignments;
    loads.push_back({peer->link.live(), queue, peer->cost.ns_per_row(), peer->cost.ns_per_expert()});
  }
  dispatch_groups.clear();
  for (const Share& share : todo) dispatch_groups.push_back({share.count, replicas_of({batch.layer, batch.groups[share.group].expert})});
  const auto pieces = replica_dispatch.assign(loads, dispatch_groups);
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
  std::sort(peer.shares.begin(), peer.shares.end(),
            [](const Share& a, const Share& b) { return a.group != b.group ? a.group < b.group : a.first < b.first; });
  wire_groups.clear();
  wire_rows.clear();
  indices.clear();
  constexpr std::uint32_t kAbsent = UINT32_MAX;
  row_of.assign(batch.row_count, kAbsent);
  std::uint32_t experts = 0;
  for (const Share& share : peer.shares) {
    const ExpertGroup& group = batch.groups[share.group];
    if (wire_groups.empty() || wire_groups.back().expert != group.expert) ++experts;
    wire_groups.push_back({group.expert, share.count});
    for (const std::uint32_t row : group.rows.subspan(share.first, share.count)) {
      if (row_of[row] == kAbsent) {
        row_of[row] = static_cast<std::uint32_t>(wire_rows.size());
        wire_rows.push_back(row);
      }
      indices.push_back(row_of[row]);
    }
  }
  const std::size_t row_bytes = batch.hidden * sizeof(float);
  if (std::max(indices.size(), wire_rows.size()) * (row_bytes + 8) + 4096 > wire::kDefaultMaxPayload) {
    // More than a frame holds: done here, whatever it costs.
    for (const Share& share : peer.shares) metrics.fallback_rows.add(share.count);
    local.insert(local.end(), peer.shares.begin(), peer.shares.end());
    peer.shares.clear();
    return;
  }
  const std::uint64_t correlation = next_correlation++;
  const auto frame = wire::begin_batch(peer.link.out(), correlation,
                                       {.layer = batch.layer,
                                        .step = batch.step,
                                        .hidden = batch.hidden,
                                        .row_count = static_cast<std::uint32_t>(wire_rows.size()),
                                        .groups = wire_groups,
                                        .row_indices = indices,
                                        .rows = {},
                                        .instance = peer.link.server().instance});
  for (std::size_t i = 0; i < wire_rows.size(); ++i)
    std::memcpy(frame.floats.data() + i * batch.hidden, batch.rows.data() + std::size_t{wire_rows[i]} * batch.hidden, row_bytes);
  wire::finish_frame(peer.link.out(), frame);

  Outstanding sent;
  if (!spare_shares.empty()) {
    sent.shares = std::move(spare_shares.back());
    spare_shares.pop_back();
  }
  sent.shares.swap(peer.shares);
  peer.shares.clear();
  sent.correlation = correlation;
  sent.assignments = static_cast<std::uint32_t>(indices.size());
  sent.experts = experts;
  const double expected_ns = 2 * (sent.assignments * peer.cost.ns_per_row() + experts * peer.cost.ns_per_expert());
  sent.deadline = clock.now() + options.batch_timeout + from_seconds(std::min(expected_ns * 1e-9, 60.0));
  peer.outstanding.push_back(std::move(sent));
  if (const auto written = peer.link.send(); !written) lose(peer, written.error());
}

void RemoteExperts::Impl::compute_local(const ExpertBatch& batch) {
  if (local.empty()) return;
  compute_groups.clear();
  for (const Share& share : local) {
    const ExpertGroup& group = batch.groups[share.group];
    compute_groups.push_back({pack->expert({batch.layer, group.expert}), group.rows.subspan(share.first, share.count),
                              group.out + std::size_t{share.first} * batch.hidden});
  }
  local.clear();
  // What others are to compute must be on its way before this thread is busy.
  while (std::any_of(peers.begin(), peers.end(), [](const auto& peer) { return peer->link.live() && peer->link.unsent(); })) {
    poll_links(&batch, options.batch_timeout);
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
  for (const auto& peer : peers)
    for (const Outstanding& sent : peer->outstanding) left = std::min<Duration>(left, sent.deadline - now);
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
  if (found == peer.outstanding.end() || batch == nullptr) return;  // given up before
  if (frame.type == wire::FrameType::kError) {
    const auto error = wire::decode_error(frame.payload);
    return lose(peer, error ? Error{error->code, error->text} : error.error());
  }
  const auto result = wire::decode_result(frame.payload);
  if (!result) return lose(peer, result.error());
  if (result->assignments != found->assignments || result->hidden != batch->hidden)
    return lose(peer, Error{ErrorCode::kDataLoss, "an answer of another size than its batch"});
  const float* from = result->outputs.data();
  for (const Share& share : found->shares) {
    const std::size_t floats = std::size_t{share.count} * batch->hidden;
    std::memcpy(batch->groups[share.group].out + std::size_t{share.first} * batch->hidden, from, floats * sizeof(float));
    from += floats;
  }
  peer.cost.observe(found->assignments, found->experts, static_cast<double>(result->service_ns));
  peer.queue_rows = result->queue_rows;
  peer.queue_at = clock.now();
  metrics.batches.add();
  metrics.rows.add(found->assignments);
  found->shares.clear();
  spare_shares.push_back(std::move(found->shares));
  peer.outstanding.erase(found);
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
  note_state(peer);
  if (peer.outstanding.empty()) return;
  if (!lost_any) lost_at = now;
  lost_any = true;
  for (Outstanding& sent : peer.outstanding) take_back(sent);
  peer.outstanding.clear();
}

void RemoteExperts::Impl::drop_late(TimePoint now) {
  for (const auto& peer : peers) {
    const bool late = std::any_of(peer->outstanding.begin(), peer->outstanding.end(),
                                  [&](const Outstanding& sent) { return now >= sent.deadline; });
    if (late) lose(*peer, Error{ErrorCode::kDeadlineExceeded, "no answer in time"});
  }
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
      peer.cost = placement::ServiceCost(peer.link.server().pace_rows_per_s);
      peer.queue_rows = 0;
    }
  }
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
  for (const auto& left : impl_->peers)
    if (left && left->was_live) impl_->metrics.live.add(-1);
  impl_->peers = std::move(peers);
  impl_->epoch.store(table->epoch, std::memory_order_relaxed);
  impl_->metrics.epoch.set(static_cast<double>(table->epoch));
  impl_->table = std::move(table);
  impl_->connect_some(kConnectStall);
  return {};
}

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

Result<std::vector<float>> RemoteExperts::run_on(const InstanceId& instance, ExpertSlot slot, std::span<const float> row, Duration timeout) {
  const auto found = std::find_if(impl_->peers.begin(), impl_->peers.end(),
                                  [&](const auto& peer) { return peer->link.endpoint().id == instance; });
  if (found == impl_->peers.end()) return fail(ErrorCode::kNotFound, "no such expert instance in the routing table: {}", instance);
  const auto index = static_cast<std::uint16_t>(found - impl_->peers.begin());
  if (!impl_->table->geometry.contains(slot) || row.size() != impl_->pack->hidden_size())
    return fail(ErrorCode::kInvalidArgument, "no such expert: layer {} expert {}", slot.layer, slot.expert);
  const auto replicas = impl_->replicas_of(slot);
  if (std::find(replicas.begin(), replicas.end(), index) == replicas.end())
    return fail(ErrorCode::kNotFound, "instance {} has no replica of layer {} expert {}", instance, slot.layer, slot.expert);
  Impl::Peer& peer = **found;
  const TimePoint deadline = impl_->clock.now() + timeout;
  impl_->poll_links(nullptr, Duration::zero());  // hears of servers that went while nothing was asked of them
  if (!peer.link.live()) peer.link.retry_now();
  bool tried = false;
  while (!peer.link.live()) {
    if (peer.link.state() == ExpertLink::State::kDown && tried)
      return fail(ErrorCode::kUnavailable, "expert instance {} cannot be reached at {}{}{}", instance, peer.link.endpoint().address,
                  peer.link.refusal().empty() ? "" : ": ", peer.link.refusal());
    tried = true;
    impl_->maintain();
    const TimePoint now = impl_->clock.now();
    if (now >= deadline) return fail(ErrorCode::kDeadlineExceeded, "expert instance {} did not answer within {} ms", instance, to_ms(timeout));
    if (peer.link.state() != ExpertLink::State::kDown) impl_->poll_links(nullptr, std::min<Duration>(deadline - now, Milliseconds(5)));
  }
  const std::uint64_t correlation = impl_->next_correlation++;
  const wire::BatchGroup group{slot.expert, 1};
  const std::uint32_t first = 0;
  wire::encode(peer.link.out(), correlation,
               wire::Batch{.layer = slot.layer,
                           .hidden = impl_->pack->hidden_size(),
                           .row_count = 1,
                           .groups = std::span(&group, 1),
                           .row_indices = std::span(&first, 1),
                           .rows = row,
                           .instance = peer.link.server().instance});
  if (const auto sent = peer.link.send(); !sent) {
    impl_->lose(peer, sent.error());
    return fail(ErrorCode::kUnavailable, "expert instance {}: {}", instance, sent.error().message);
  }
  return impl_->wait_for_row(peer, correlation, deadline);
}

Result<std::vector<float>> RemoteExperts::Impl::wait_for_row(Peer& peer, std::uint64_t correlation, TimePoint deadline) {
  const InstanceId& instance = peer.link.endpoint().id;
  while (true) {
    const TimePoint now = clock.now();
    if (now >= deadline) {
      wire::encode_empty(peer.link.out(), correlation, wire::FrameType::kCancel);
      if (const auto sent = peer.link.send(); !sent) lose(peer, sent.error());
      return fail(ErrorCode::kDeadlineExceeded, "expert instance {} did not answer in time", instance);
    }
    const Duration left = deadline - now;
    pollfd ready{.fd = peer.link.fd(), .events = peer.link.wanted_events(), .revents = 0};
    const timespec timeout{.tv_sec = left.count() / 1'000'000'000, .tv_nsec = left.count() % 1'000'000'000};
    if (::ppoll(&ready, 1, &timeout, nullptr) <= 0) continue;
    const auto done = peer.link.on_ready(ready.revents, now);
    auto frame = done ? peer.link.next_frame() : Result<std::optional<wire::Frame>>(flexpert::fail(done.error()));
    for (; frame && *frame; frame = peer.link.next_frame()) {
      if ((*frame)->correlation != correlation) continue;
      if ((*frame)->type == wire::FrameType::kError) {
        const auto error = wire::decode_error((*frame)->payload);
        return fail(ErrorCode::kUnavailable, "expert instance {}: {}", instance, error ? error->text : error.error().message);
      }
      const auto result = wire::decode_result((*frame)->payload);
      if (!result || result->outputs.size() != pack->hidden_size())
        return fail(ErrorCode::kUnavailable, "expert instance {} sent a malformed answer", instance);
      return std::vector<float>(result->outputs.begin(), result->outputs.end());
    }
    if (!frame) {
      lose(peer, frame.error());
      return fail(ErrorCode::kUnavailable, "expert instance {}: {}", instance, frame.error().message);
    }
  }
}

}  // namespace flexpert::engine
