#include "engine/expert/expert_server.h"

#include <utility>

#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "engine/expert/expert_server_impl.h"
#include "net/socket.h"

namespace flexpert::engine {
namespace {

constexpr int kSocketBufferBytes = 4 << 20;
constexpr Duration kAcceptPause = Milliseconds(100);

}  // namespace

ExpertServer::Impl::~Impl() {
  for (const net::TimerId timer : {prefetch_timer, drain_timer, accept_timer}) loop.cancel(timer);
  stop_listening();
  connections.clear();
}

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

wire::Stats ExpertServer::Impl::current_stats() const {
  wire::Stats stats = totals;
  stats.connections = connections.size();
  stats.queue_rows = held.queue_rows(clock.now());
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
    return fail(ErrorCode::kInvalidArgument,
                "expert server: pace {} rows/s must not be negative, frames of {} bytes must be within 4096 and {}",
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
