#include "http/server.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <vector>

#include "base/log.h"
#include "http/server_connection.h"
#include "net/socket.h"

namespace flexpert::http {
namespace {

constexpr int kAcceptsPerTurn = 64;
/// Out of descriptors: connections wait in the backlog this long before the next try.
constexpr Duration kAcceptPause = Milliseconds(100);

}  // namespace

struct Server::Impl : std::enable_shared_from_this<Server::Impl> {
  class Listener;

  explicit Impl(std::shared_ptr<ServerState> server_state);
  ~Impl();

  void accept_from(int listening_fd);
  void update_listeners();
  void stop_listening();
  void close_connections();
  void close_idle();
  void finish_drain();

  std::shared_ptr<ServerState> state;
  std::vector<std::unique_ptr<Listener>> listeners;
  std::uint64_t next_connection = 1;
  bool accepting = true;
  net::TimerId accept_timer = 0;
  net::TimerId drain_timer = 0;
  net::TimerId drained_timer = 0;
  net::TimerId linger_timer = 0;
  std::move_only_function<void()> on_drained;
};

/// A listening socket on the loop. A Unix socket's file is removed while it still listens, so that a successor that
/// binds the same path never loses its own.
class Server::Impl::Listener final : public net::FdHandler {
 public:
  /// A `shared` one belongs to others as well, its file included.
  Listener(Impl& impl, net::UniqueFd fd, net::Address address, bool shared = false)
      : impl_(impl), fd_(std::move(fd)), address_(std::move(address)), shared_(shared) {
    impl_.state->loop.watch(fd_.get(), impl_.accepting ? EPOLLIN : 0U, this);
  }
  ~Listener() override {
    impl_.state->loop.unwatch(fd_.get());
    if (address_.is_unix && !shared_) ::unlink(address_.host_or_path.c_str());
  }
  void on_events(std::uint32_t) override { impl_.accept_from(fd_.get()); }
  void accept(bool on) { impl_.state->loop.modify(fd_.get(), on ? EPOLLIN : 0U); }

 private:
  Impl& impl_;
  net::UniqueFd fd_;
  net::Address address_;
  bool shared_;
};

Server::Impl::Impl(std::shared_ptr<ServerState> server_state) : state(std::move(server_state)) {}
Server::Impl::~Impl() = default;

void Server::Impl::stop_listening() { listeners.clear(); }

void Server::Impl::accept_from(int listening_fd) {
  for (int i = 0; i < kAcceptsPerTurn && state->connections.size() < state->limits.max_connections; ++i) {
    Result<net::UniqueFd> accepted = net::accept_one(listening_fd);
    if (!accepted) {
      if (accepted.error().code == ErrorCode::kUnavailable) break;
      log::warn("pausing for {} ms: {}", to_ms(kAcceptPause), accepted.error().message);
      state->loop.cancel(accept_timer);
      accept_timer = state->loop.call_after(kAcceptPause, [this] {
        accept_timer = 0;
        update_listeners();
      });
      break;
    }
    const std::uint64_t id = next_connection++;
    state->connections.emplace(id, std::make_shared<ServerConnection>(state, id, std::move(*accepted)));
  }
  update_listeners();
}

void Server::Impl::update_listeners() {
  const bool wanted = state->connections.size() < state->limits.max_connections && accept_timer == 0;
  if (wanted == accepting) return;
  accepting = wanted;
  for (const auto& listener : listeners) listener->accept(accepting);
}

void Server::Impl::close_connections() {
  const auto connections = std::exchange(state->connections, {});
  for (const auto& [id, connection] : connections) connection->close();
}

void Server::Impl::close_idle() {
  std::vector<std::uint64_t> idle;
  for (const auto& [id, connection] : state->connections)
    if (connection->settled()) idle.push_back(id);
  for (const std::uint64_t id : idle) {
    const auto connection = state->connections.at(id);
    connection->close();
    state->connections.erase(id);
  }
}

void Server::Impl::finish_drain() {
  if (!on_drained) return;
  state->loop.cancel(std::exchange(drain_timer, 0));
  state->loop.cancel(std::exchange(drained_timer, 0));
  state->loop.cancel(std::exchange(linger_timer, 0));
  auto callback = std::move(on_drained);
  on_drained = nullptr;
  callback();  // may destroy the server
}

Server::Server(net::EventLoop& loop, ServerLimits limits, Handler handler)
    : impl_(std::make_shared<Impl>(std::make_shared<ServerState>(loop, limits, std::move(handler)))) {
  impl_->state->on_change = [impl = impl_.get()] {
    impl->update_listeners();
    if (!impl->on_drained || impl->drained_timer != 0 || impl->linger_timer != 0) return;
    for (const auto& [id, connection] : impl->state->connections)
      if (!connection->settled()) return;
    impl->drained_timer = impl->state->loop.call_after(Duration::zero(), [impl] { impl->finish_drain(); });
  };
}

Server::~Server() {
  impl_->state->on_change = nullptr;
  impl_->state->loop.cancel(impl_->accept_timer);
  impl_->state->loop.cancel(impl_->drain_timer);
  impl_->state->loop.cancel(impl_->drained_timer);
  impl_->state->loop.cancel(impl_->linger_timer);
  impl_->stop_listening();
  impl_->close_connections();
}

Result<net::Address> Server::listen(const net::Address& address) {
  FLEXPERT_ASSIGN(net::UniqueFd fd, net::listen_on(address));
  FLEXPERT_ASSIGN(net::Address bound, net::bound_address(fd.get(), address));
  impl_->listeners.push_back(std::make_unique<Impl::Listener>(*impl_, std::move(fd), bound));
  return bound;
}

Result<net::Address> Server::listen_on(net::UniqueFd listening) {
  FLEXPERT_ASSIGN(net::Address bound, net::adopt_listening(listening.get()));
  impl_->listeners.push_back(std::make_unique<Impl::Listener>(*impl_, std::move(listening), bound, true));
  return bound;
}

void Server::drain(Duration deadline, std::move_only_function<void()> done, Duration linger) {
  ServerState& state = *impl_->state;
  state.draining = true;
  impl_->stop_listening();
  impl_->on_drained = std::move(done);
  state.loop.cancel(std::exchange(impl_->linger_timer, 0));
  if (linger > Duration::zero() && !state.connections.empty()) {
    impl_->linger_timer = state.loop.call_after(linger, [impl = impl_.get()] {
      impl->linger_timer = 0;
      impl->close_idle();
      if (impl->state->on_change) impl->state->on_change();
    });
  } else {
    impl_->close_idle();
  }
  state.loop.cancel(impl_->drain_timer);
  impl_->drain_timer = state.loop.call_after(deadline, [impl = impl_.get()] {
    impl->drain_timer = 0;
    impl->close_connections();
    impl->finish_drain();
  });
  if (state.on_change) state.on_change();
}

std::size_t Server::open_connections() const { return impl_->state->connections.size(); }
std::size_t Server::active_exchanges() const { return impl_->state->active_exchanges; }

void Responder::respond(Response response) {
  if (exchange_ == nullptr || exchange_->connection_ == nullptr || exchange_->started_) return;
  exchange_->started_ = true;
  exchange_->connection_->respond(std::move(response));
}

void Responder::start(int status, Headers headers) {
  if (exchange_ == nullptr || exchange_->connection_ == nullptr || exchange_->started_) return;
  exchange_->started_ = true;
  exchange_->connection_->start(status, headers);
}

void Responder::write(std::string_view chunk) {
  if (exchange_ != nullptr && exchange_->connection_ != nullptr && exchange_->started_) exchange_->connection_->write(chunk);
}

void Responder::finish() {
  if (exchange_ != nullptr && exchange_->connection_ != nullptr && exchange_->started_) exchange_->connection_->finish();
}

void Responder::abort() {
  if (exchange_ != nullptr && exchange_->connection_ != nullptr) exchange_->connection_->abort();
}

void Responder::on_disconnect(std::move_only_function<void()> callback) {
  if (exchange_ == nullptr) return;
  if (exchange_->connection_ != nullptr) exchange_->on_disconnect_ = std::move(callback);
  else if (exchange_->gone_) callback();
}

bool Responder::gone() const { return exchange_ == nullptr || exchange_->gone_; }
bool Responder::started() const { return exchange_ != nullptr && exchange_->started_; }
std::size_t Responder::buffered_bytes() const {
  return exchange_ != nullptr && exchange_->connection_ != nullptr ? exchange_->connection_->buffered_bytes() : 0;
}

}  // namespace flexpert::http
