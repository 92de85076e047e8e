#include <algorithm>
#include <cerrno>
#include <utility>

#include <sys/socket.h>

#include "base/log.h"
#include "engine/expert/expert_server_impl.h"
#include "engine/kernels/kernels.h"

namespace flexpert::engine {
namespace {

/// A client that does not fetch its answers is not read from beyond this.
constexpr std::size_t kMaxUnsentBytes = 8U << 20;
constexpr std::size_t kKeptBufferBytes = 16U << 20;

}  // namespace

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
      for (const ExpertSlot& slot : *slots)
        if (pack->expert(slot) != nullptr && to_prefetch.size() < 2 * slot_rows.size()) to_prefetch.push_back(slot);
      if (prefetch_timer == 0 && !to_prefetch.empty()) prefetch_timer = loop.call_after(Duration::zero(), [this] { prefetch_one(); });
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
  const std::uint64_t waiting = held.queue_rows(arrived);
  const bool paced = held.paced();
  wire::Bytes paced_frame = held.buffer();
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
  const Duration service = std::max<Duration>(clock.now() - arrived, held.time_for(assignments));
  wire::finish_result(out, open, static_cast<std::uint64_t>(service.count()),
                      static_cast<std::uint32_t>(std::min<std::uint64_t>(waiting, UINT32_MAX)));
  if (!paced) return;
  connection.held_bytes += paced_frame.size();
  held.hold(connection.id, frame.correlation, arrived, assignments, std::move(paced_frame));
}

/// Sends an answer that is due.
void ExpertServer::Impl::release(HeldAnswers::Answer& answer) {
  if (const auto found = connections.find(answer.connection); found != connections.end()) {
    Connection& connection = *found->second;
    connection.held_bytes -= answer.frame.size();
    connection.out.insert(connection.out.end(), answer.frame.begin(), answer.frame.end());
    flush(connection);
    // Input may have waited for room; the events for it are past.
    if (!connection.dead && !connection.closing) process(connection);
    erase_if_dead(connection);
  }
  finish_drain_if_idle();
}

/// Asks for one slot's pages; batches go in between.
void ExpertServer::Impl::prefetch_one() {
  pack->prefetch(to_prefetch.front());
  to_prefetch.pop_front();
  prefetch_timer = to_prefetch.empty() ? 0 : loop.call_after(Duration::zero(), [this] { prefetch_one(); });
}

void ExpertServer::Impl::cancel_held(Connection& connection, std::uint64_t correlation) {
  const auto bytes = held.cancel(connection.id, correlation);
  if (!bytes) return;  // answered before
  connection.held_bytes -= *bytes;
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

}  // namespace flexpert::engine
