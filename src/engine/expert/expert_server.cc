#include "engine/expert/expert_server.h"

#include <algorithm>
#include <cerrno>
#include <deque>
#include <map>
#include <span>

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "engine/expert/group_compute.h"
#include "engine/kernels/kernels.h"
#include "net/socket.h"
#include "net/unique_fd.h"

namespace flexpert::engine {
namespace {

namespace wire = expert_protocol;

/// A client that does not fetch its answers is not read from beyond this.
constexpr std::size_t kMaxUnsentBytes = 8U << 20;
constexpr std::size_t kKeptBufferBytes = 16U << 20;
constexpr int kSocketBufferBytes = 4 << 20;
constexpr Duration kAcceptPause = Milliseconds(100);

struct ServerMetrics {
  explicit ServerMetrics(telemetry::Registry& registry)
      : batches(registry.counter("flexpert_expert_server_batches_total", "Batches computed.")),
        rows(registry.counter("flexpert_expert_server_rows_total", "Expert rows computed.")),
        rejected(registry.counter("flexpert_expert_server_rejected_connections_total", "Connections closed for malformed bytes.")),
        refused(registry.counter("flexpert_expert_server_refused_hellos_total", "Hellos refused (other model, kernels or version).")),
        received(registry.counter("flexpert_expert_server_received_bytes_total", "Bytes received.")),
        sent(registry.counter("flexpert_expert_server_sent_bytes_total", "Bytes sent.")),
        pace(registry.gauge("flexpert_expert_server_pace_rows_per_second", "The emulated speed; 0 = raw speed, not paced.")) {}

  telemetry::Counter batches, rows, rejected, refused, received, sent;
  telemetry::Gauge pace;
};

}  // namespace

struct ExpertServer::Impl final : net::FdHandler {
  struct Connection final : net::FdHandler {
    Connection(Impl& owner, std::uint64_t its_id, net::UniqueFd its_fd) : server(owner), id(its_id), fd(std::move(its_fd)) {}
    ~Connection() override {
      server.loop.cancel(hello_timer);
      if (fd) server.loop.unwatch(fd.get());
    }
    void on_events(std::uint32_t events) override { server.on_connection(*this, events); }

    Impl& server;
    std::uint64_t id;
    net::UniqueFd fd;
    wire::FrameDecoder decoder{wire::kMaxHelloPayload};
    wire::Bytes out;
    std::size_t sent = 0;
    std::size_t held_bytes = 0;
    net::TimerId hello_timer = 0;
    std::uint32_t watched = EPOLLIN;
    bool greeted = false;
    bool closing = false;  ///< closed once everything in `out` is sent
    bool dead = false;     ///< to be erased by whoever holds it last
  };

  /// An answer that a paced server holds back. Due times never go down from front to back.
  struct Held {
    TimePoint due;
    std::uint64_t connection = 0;
    std::uint64_t correlation = 0;
    wire::Bytes frame;
  };

  Impl(net::EventLoop& its_loop, std::shared_ptr<const PackFile> its_pack, ExpertServerOptions its_options, telemetry::Registry& registry,
       const Clock& its_clock)
      : loop(its_loop), pack(std::move(its_pack)), options(std::move(its_options)), clock(its_clock), metrics(registry),
        pool(std::max(options.threads, 1U)), compute(pool), slot_rows(pack->geometry().size()) {}
  ~Impl() override {
    loop.cancel(held_timer);
    loop.cancel(drain_timer);
    loop.cancel(accept_timer);
    stop_listening();
    connections.clear();
  }

  void on_events(std::uint32_t) override { accept_all(); }
  void accept_all();
  void on_connection(Connection& connection, std::uint32_t events);
  void read(Connection& connection);
  void process(Connection& connection);
  void handle(Connection& connection, const wire::Frame& frame);
  void greet(Connection& connection, const wire::Frame& frame);
  void compute_batch(Connection& connection, const wire::Frame& frame);
  Result<void> check_batch(const wire::Batch& batch);
  void hold(Connection& connection, std::uint64_t correlation, TimePoint due, wire::Bytes frame);
  void release_held();
  void cancel_held(Connection& connection, std::uint64_t correlation);
  void answer_error(Connection& connection, std::uint64_t correlation, const Error& error);
  void reject(Connection& connection, const Error& error);
  void flush(Connection& connection);
  void update_events(Connection& connection);
  void erase_if_dead(Connection& connection);
  void stop_listening();
  void begin_drain(Duration deadline);
  void finish_drain_if_idle();
  void end_drain();
  void arm_held_timer();
  [[nodiscard]] std::uint64_t queue_rows(TimePoint now) const;
  [[nodiscard]] wire::Stats current_stats() const;

  net::EventLoop& loop;
  std::shared_ptr<const PackFile> pack;
  ExpertServerOptions options;
  const Clock& clock;
  ServerMetrics metrics;
  ComputePool pool;
  GroupCompute compute;
  net::Address listen_address;
  net::UniqueFd listener;
  std::map<std::uint64_t, std::unique_ptr<Connection>> connections;
  std::uint64_t next_connection = 1;
  std::deque<Held> held;
  net::TimerId held_timer = 0;
  net::TimerId accept_timer = 0;
  TimePoint paced_until{};
  std::vector<std::uint64_t> slot_rows;
  wire::Stats totals;
  std::vector<ComputeGroup> groups;
  std::vector<wire::Bytes> spare;
  net::TimerId drain_timer = 0;
  bool draining = false;
  bool drain_ending = false;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> drain_askers;  ///< connection and correlation id of drain frames
  std::vector<std::move_only_function<void()>> on_drained;
};

void ExpertServer::Impl::accept_all() {
  while (true) {
    auto accepted = net::accept_one(listener.get());
    if (!accepted) {
      if (accepted.error().code == ErrorCode::kUnavailable) return;
      // Out of descriptors: the backlog waits, and a level-triggered listener would spin.
      log::warn("expert server: {}", accepted.error().message);
      loop.modify(listener.get(), 0);
      accept_timer = loop.call_after(kAcceptPause, [this] {
        if (listener) loop.modify(listener.get(), EPOLLIN);
      });
      return;
    }
    if (connections.size() >= options.max_connections) continue;
    const int fd = accepted->get();
    ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kSocketBufferBytes, sizeof kSocketBufferBytes);
    const std::uint64_t id = next_connection++;
    auto connection = std::make_unique<Connection>(*this, id, std::move(*accepted));
    connection->hello_timer = loop.call_after(options.hello_timeout, [this, id] {
      const auto found = connections.find(id);
      if (found == connections.end()) return;
      reject(*found->second, Error{ErrorCode::kDeadlineExceeded, "no hello in time"});
      erase_if_dead(*found->second);
    });
    loop.watch(fd, EPOLLIN, connection.get());
    connections.emplace(id, std::move(connection));
  }
}

void ExpertServer::Impl::on_connection(Connection& connection, std::uint32_t events) {
  if ((events & EPOLLOUT) != 0) {
    flush(connection);
    if (!connection.dead && !connection.closing) process(connection);
  }
  if (!connection.dead && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) read(connection);
  erase_if_dead(connection);
  finish_drain_if_idle();
}

void ExpertServer::Impl::read(Connection& connection) {
  const auto space = connection.decoder.space(std::clamp<std::size_t>(connection.decoder.missing(), 65536, 1U << 20));
  const ssize_t got = ::recv(connection.fd.get(), space.data(), space.size(), 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) {
    connection.dead = true;
    return;
  }
  if (connection.closing) return;
  connection.decoder.received(static_cast<std::size_t>(got));
  totals.bytes_received += static_cast<std::uint64_t>(got);
  metrics.received.add(static_cast<double>(got));
  process(connection);
}

void ExpertServer::Impl::process(Connection& connection) {
  while (!connection.dead && !connection.closing && connection.out.size() - connection.sent + connection.held_bytes < kMaxUnsentBytes) {
    const auto frame = connection.decoder.next();
    if (!frame) {
      if (frame.error().code == ErrorCode::kFailedPrecondition) {
        ++totals.refused_hellos;
        metrics.refused.add();
        answer_error(connection, 0, frame.error());
        connection.closing = true;
        break;
      }
      reject(connection, frame.error());
      return;
    }
    if (!*frame) break;
    handle(connection, **frame);
  }
  if (!connection.dead) flush(connection);
}

void ExpertServer::Impl::handle(Connection& connection, const wire::Frame& frame) {
  if (!connection.greeted) {
    if (frame.type != wire::FrameType::kHello) return reject(connection, Error{ErrorCode::kDataLoss, "a frame before hello"});
    return greet(connection, frame);
  }
  switch (frame.type) {
    case wire::FrameType::kBatch: return compute_batch(connection, frame);
    case wire::FrameType::kCancel: return cancel_held(connection, frame.correlation);
    case wire::FrameType::kPrepare: {
      const auto slots = wire::decode_prepare(frame.payload);
      if (!slots) return reject(connection, slots.error());
      for (const ExpertSlot& slot : *slots) pack->prefetch(slot);
      return wire::encode_empty(connection.out, frame.correlation, wire::FrameType::kPrepareReply);
    }
    case wire::FrameType::kDrain: {
      const auto deadline_ms = wire::decode_drain(frame.payload);
      if (!deadline_ms) return reject(connection, deadline_ms.error());
      drain_askers.push_back({connection.id, frame.correlation});
      return begin_drain(Milliseconds(*deadline_ms));
    }
    case wire::FrameType::kStats: return wire::encode(connection.out, frame.correlation, current_stats());
    default: return reject(connection, Error{ErrorCode::kDataLoss, "a frame that only servers send"});
  }
}

void ExpertServer::Impl::greet(Connection& connection, const wire::Frame& frame) {
  const auto hello = wire::decode_hello(frame.payload);
  if (!hello) return reject(connection, hello.error());
  std::string reason;
  if (hello->model_fingerprint != pack->model_fingerprint())
    reason = fmt::format("other model: fingerprint {} asked for, {} here", hello->model_fingerprint, pack->model_fingerprint());
  else if (hello->kernel_identity != kernel_identity())
    reason = fmt::format("other kernels: \"{}\" asked for, \"{}\" here", hello->kernel_identity, kernel_identity());
  else if (hello->model_epoch != options.model_epoch)
    reason = fmt::format("other model epoch: {} asked for, {} here", hello->model_epoch, options.model_epoch);
  else if (hello->hidden != pack->hidden_size() || hello->geometry != pack->geometry())
    reason = fmt::format("other geometry: hidden {}, {} layers, {} experts asked for", hello->hidden, hello->geometry.layers,
                         hello->geometry.experts);
  if (!reason.empty()) {
    ++totals.refused_hellos;
    metrics.refused.add();
    log::warn("expert server: hello refused: {}", reason);
    answer_error(connection, frame.correlation, Error{ErrorCode::kFailedPrecondition, "hello refused: " + reason});
    connection.closing = true;
    return;
  }
  connection.greeted = true;
  loop.cancel(std::exchange(connection.hello_timer, 0));
  connection.decoder.set_max_payload(options.max_payload_bytes);
  wire::encode(connection.out, frame.correlation,
               wire::HelloReply{.model_fingerprint = pack->model_fingerprint(),
                                .model_epoch = options.model_epoch,
                                .kernel_identity = kernel_identity(),
                                .hidden = pack->hidden_size(),
                                .geometry = pack->geometry(),
                                .pace_rows_per_s = options.pace_rows_per_s,
                                .instance = options.instance.value});
}

Result<void> ExpertServer::Impl::check_batch(const wire::Batch& batch) {
  if (draining) return fail(ErrorCode::kUnavailable, "this expert server is draining");
  if (!batch.instance.empty() && batch.instance != options.instance.value)
    return fail(ErrorCode::kNotFound, "batch for instance {}, this is {}", batch.instance, options.instance.value);
  if (batch.hidden != pack->hidden_size())
    return fail(ErrorCode::kInvalidArgument, "batch of hidden {}, the model has {}", batch.hidden, pack->hidden_size());
  if (batch.row_indices.size() > (options.max_payload_bytes - 64) / sizeof(float) / batch.hidden)
    return fail(ErrorCode::kResourceExhausted, "batch of {} assignments: its answer would be over {} bytes", batch.row_indices.size(),
                options.max_payload_bytes);
  for (const wire::BatchGroup& group : batch.groups)
    if (pack->expert({batch.layer, group.expert}) == nullptr)
      return fail(ErrorCode::kNotFound, "no such expert: layer {} expert {}", batch.layer, group.expert);
  return {};
}

void ExpertServer::Impl::compute_batch(Connection& connection, const wire::Frame& frame) {
  const TimePoint arrived = clock.now();
  const auto batch = wire::decode_batch(frame.payload);
  if (!batch) return reject(connection, batch.error());
  if (const auto checked = check_batch(*batch); !checked) return answer_error(connection, frame.correlation, checked.error());
  const auto assignments = static_cast<std::uint32_t>(batch->row_indices.size());
  const std::uint64_t waiting = queue_rows(arrived);
  const bool paced = options.pace_rows_per_s > 0;
  wire::Bytes paced_frame;
  if (paced && !spare.empty()) {
    paced_frame = std::move(spare.back());
    spare.pop_back();
  }
  wire::Bytes& out = paced ? paced_frame : connection.out;
  const wire::OpenFrame open = wire::begin_result(out, frame.correlation, assignments, batch->hidden);
  groups.clear();
  std::size_t at = 0;
  for (const wire::BatchGroup& group : batch->groups) {
    const ExpertSlot slot{batch->layer, group.expert};
    groups.push_back({pack->expert(slot), batch->row_indices.subspan(at, group.rows), open.floats.data() + at * batch->hidden});
    slot_rows[pack->geometry().index(slot)] += group.rows;
    at += group.rows;
  }
  compute.run(batch->rows, batch->hidden, groups);
  ++totals.batches;
  totals.rows += assignments;
  metrics.batches.add();
  metrics.rows.add(assignments);
  Duration service = clock.now() - arrived;
  if (paced) service = std::max(service, from_seconds(assignments / options.pace_rows_per_s));
  wire::finish_result(out, open, static_cast<std::uint64_t>(service.count()),
                      static_cast<std::uint32_t>(std::min<std::uint64_t>(waiting, UINT32_MAX)));
  if (!paced) return;
  paced_until = std::max(arrived, paced_until) + from_seconds(assignments / options.pace_rows_per_s);
  hold(connection, frame.correlation, paced_until, std::move(paced_frame));
}

std::uint64_t ExpertServer::Impl::queue_rows(TimePoint now) const {
  if (options.pace_rows_per_s <= 0 || paced_until <= now) return 0;
  return static_cast<std::uint64_t>(to_seconds(paced_until - now) * options.pace_rows_per_s);
}

void ExpertServer::Impl::hold(Connection& connection, std::uint64_t correlation, TimePoint due, wire::Bytes frame) {
  connection.held_bytes += frame.size();
  held.push_back({due, connection.id, correlation, std::move(frame)});
  if (held.size() == 1) arm_held_timer();
}

void ExpertServer::Impl::release_held() {
  held_timer = 0;
  const TimePoint now = clock.now();
  while (!held.empty() && held.front().due <= now) {
    Held answer = std::move(held.front());
    held.pop_front();
    if (const auto found = connections.find(answer.connection); found != connections.end()) {
      Connection& connection = *found->second;
      connection.held_bytes -= answer.frame.size();
      connection.out.insert(connection.out.end(), answer.frame.begin(), answer.frame.end());
      flush(connection);
      // Input may have waited for room; the events for it are past.
      if (!connection.dead && !connection.closing) process(connection);
      erase_if_dead(connection);
    }
    answer.frame.clear();
    if (answer.frame.capacity() <= kKeptBufferBytes && spare.size() < 8) spare.push_back(std::move(answer.frame));
  }
  arm_held_timer();
  finish_drain_if_idle();
}

void ExpertServer::Impl::cancel_held(Connection& connection, std::uint64_t correlation) {
  const auto found = std::find_if(held.begin(), held.end(),
                                  [&](const Held& answer) { return answer.connection == connection.id && answer.correlation == correlation; });
  if (found == held.end()) return;  // answered before
  connection.held_bytes -= found->frame.size();
  held.erase(found);
  answer_error(connection, correlation, Error{ErrorCode::kCancelled, "cancelled"});
}

void ExpertServer::Impl::answer_error(Connection& connection, std::uint64_t correlation, const Error& error) {
  wire::encode(connection.out, correlation, wire::WireError{error.code, error.message});
}

void ExpertServer::Impl::reject(Connection& connection, const Error& error) {
  ++totals.rejected_connections;
  metrics.rejected.add();
  log::warn("expert server: connection closed: {}", error.message);
  connection.dead = true;
}

void ExpertServer::Impl::flush(Connection& connection) {
  while (connection.sent < connection.out.size()) {
    const ssize_t sent =
        ::send(connection.fd.get(), connection.out.data() + connection.sent, connection.out.size() - connection.sent, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) break;
    if (sent <= 0) {
      connection.dead = true;
      return;
    }
    connection.sent += static_cast<std::size_t>(sent);
    totals.bytes_sent += static_cast<std::uint64_t>(sent);
    metrics.sent.add(static_cast<double>(sent));
  }
  if (connection.sent == connection.out.size()) {
    connection.sent = 0;
    connection.out.clear();
    if (connection.out.capacity() > kKeptBufferBytes) connection.out.shrink_to_fit();
    if (connection.closing) connection.dead = true;
  }
  update_events(connection);
}

void ExpertServer::Impl::update_events(Connection& connection) {
  if (connection.dead) return;
  const std::size_t unsent = connection.out.size() - connection.sent;
  std::uint32_t wanted = unsent > 0 ? EPOLLOUT : 0U;
  if (unsent + connection.held_bytes < kMaxUnsentBytes) wanted |= EPOLLIN;
  if (wanted == connection.watched) return;
  connection.watched = wanted;
  loop.modify(connection.fd.get(), wanted);
}

void ExpertServer::Impl::erase_if_dead(Connection& connection) {
  if (connection.dead) connections.erase(connection.id);
}

void ExpertServer::Impl::stop_listening() {
  if (!listener) return;
  loop.cancel(std::exchange(accept_timer, 0));
  loop.unwatch(listener.get());
  listener.reset();
  if (listen_address.is_unix) ::unlink(listen_address.host_or_path.c_str());
}

void ExpertServer::Impl::begin_drain(Duration deadline) {
  stop_listening();
  draining = true;
  if (!drain_ending) {
    loop.cancel(drain_timer);
    drain_timer = loop.call_after(deadline, [this] { end_drain(); });
  }
  finish_drain_if_idle();
}

void ExpertServer::Impl::finish_drain_if_idle() {
  if (!draining || drain_ending || !held.empty()) return;
  for (const auto& [id, connection] : connections)
    if (connection->sent < connection->out.size()) return;
  // From the loop: the owner may destroy the server when it hears of the end.
  drain_ending = true;
  loop.cancel(drain_timer);
  drain_timer = loop.call_after(Duration::zero(), [this] { end_drain(); });
}

void ExpertServer::Impl::end_drain() {
  drain_timer = 0;
  drain_ending = true;
  held.clear();
  for (const auto& [id, correlation] : drain_askers) {
    const auto found = connections.find(id);
    if (found == connections.end()) continue;
    wire::encode_empty(found->second->out, correlation, wire::FrameType::kDrainReply);
    flush(*found->second);
  }
  drain_askers.clear();
  connections.clear();
  drain_ending = false;
  auto callbacks = std::move(on_drained);
  on_drained.clear();
  for (auto& callback : callbacks) callback();
}

void ExpertServer::Impl::arm_held_timer() {
  loop.cancel(std::exchange(held_timer, 0));
  if (!held.empty()) held_timer = loop.call_after(held.front().due - clock.now(), [this] { release_held(); });
}

wire::Stats ExpertServer::Impl::current_stats() const {
  wire::Stats stats = totals;
  stats.connections = connections.size();
  stats.queue_rows = queue_rows(clock.now());
  stats.pace_rows_per_s = options.pace_rows_per_s;
  for (std::size_t i = 0; i < slot_rows.size(); ++i)
    if (slot_rows[i] > 0) stats.slots.push_back({pack->geometry().slot(i), slot_rows[i]});
  return stats;
}

ExpertServer::ExpertServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ExpertServer::~ExpertServer() = default;

Result<std::unique_ptr<ExpertServer>> ExpertServer::start(net::EventLoop& loop, std::shared_ptr<const PackFile> pack,
                                                          ExpertServerOptions options, telemetry::Registry& metrics, const Clock& clock) {
  if (!(options.pace_rows_per_s >= 0) || options.max_payload_bytes < 4096 || options.max_payload_bytes > UINT32_MAX)
    return fail(ErrorCode::kInvalidArgument, "expert server: pace {} rows/s must not be negative, frames of {} bytes must be within 4096 and {}",
                options.pace_rows_per_s, options.max_payload_bytes, UINT32_MAX);
  FLEXPERT_ASSIGN(net::UniqueFd listener, net::listen_on(options.listen));
  FLEXPERT_ASSIGN(net::Address address, net::bound_address(listener.get(), options.listen));
  auto impl = std::make_unique<Impl>(loop, std::move(pack), std::move(options), metrics, clock);
  impl->listener = std::move(listener);
  impl->listen_address = std::move(address);
  impl->metrics.pace.set(impl->options.pace_rows_per_s);
  loop.watch(impl->listener.get(), EPOLLIN, impl.get());
  return std::unique_ptr<ExpertServer>(new ExpertServer(std::move(impl)));
}

const net::Address& ExpertServer::address() const { return impl_->listen_address; }

expert_protocol::Stats ExpertServer::stats() const { return impl_->current_stats(); }

void ExpertServer::drain(Duration deadline, std::move_only_function<void()> done) {
  impl_->on_drained.push_back(std::move(done));
  impl_->begin_drain(deadline);
}

}  // namespace flexpert::engine
