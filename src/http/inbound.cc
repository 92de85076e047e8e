#include "http/inbound.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <vector>

#include "base/log.h"
#include "http/inbound_connection.h"
#include "net/socket.h"

namespace flexpert::http {
namespace {

constexpr int kAcceptsPerTurn = 64;
/// Out of descriptors: connections wait in the backlog this long before the next try.
constexpr Duration kAcceptPause = Milliseconds(100);

}  // namespace

/// The listening sockets of an Inbound, and how it ends.
class InboundPort {
 public:
  InboundPort(net::EventLoop& loop, InboundLimits limits, InboundAcceptor& acceptor);
  ~InboundPort();
  /// Closes everything; nobody is told. The port itself lasts until nothing of it runs any more.
  void stop();

  void add(net::UniqueFd fd, net::Address address, bool shared_socket, std::shared_ptr<crypto::TlsServer> tls);
  void drain(Duration deadline, std::move_only_function<void()> done, Duration linger);
  [[nodiscard]] InboundShared& shared() { return *shared_; }

 private:
  class Listener;

  void accept_from(int listening_fd, const crypto::TlsServer* tls);
  void update_listeners();
  void on_change();
  void close_idle();
  void close_all();
  void finish_drain();

  std::unique_ptr<InboundShared> shared_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  bool accepting_ = true;
  bool stopped_ = false;
  net::TimerId accept_timer_ = 0;
  net::TimerId drain_timer_ = 0;
  net::TimerId drained_timer_ = 0;
  net::TimerId linger_timer_ = 0;
  std::move_only_function<void()> on_drained_;
};

/// A listening socket on the loop. A Unix socket's file is removed while it still listens, so that a successor that
/// binds the same path never loses its own.
class InboundPort::Listener final : public net::FdHandler {
 public:
  /// A `shared` one belongs to others as well, its file included.
  Listener(InboundPort& port, net::UniqueFd fd, net::Address address, bool shared, std::shared_ptr<crypto::TlsServer> tls)
      : port_(port), fd_(std::move(fd)), address_(std::move(address)), shared_(shared), tls_(std::move(tls)) {
    port_.shared_->loop.watch(fd_.get(), port_.accepting_ ? EPOLLIN : 0U, this);
  }
  ~Listener() override {
    port_.shared_->loop.unwatch(fd_.get());
    if (address_.is_unix && !shared_) ::unlink(address_.host_or_path.c_str());
  }
  void on_events(std::uint32_t) override { port_.accept_from(fd_.get(), tls_.get()); }
  void accept(bool on) { port_.shared_->loop.modify(fd_.get(), on ? EPOLLIN : 0U); }

 private:
  InboundPort& port_;
  net::UniqueFd fd_;
  net::Address address_;
  bool shared_;
  std::shared_ptr<crypto::TlsServer> tls_;
};

InboundPort::InboundPort(net::EventLoop& loop, InboundLimits limits, InboundAcceptor& acceptor)
    : shared_(std::make_unique<InboundShared>(loop, limits, acceptor)) {
  shared_->on_change = [this] { on_change(); };
}

InboundPort::~InboundPort() = default;

void InboundPort::stop() {
  stopped_ = true;
  shared_->on_change = nullptr;
  for (const net::TimerId timer : {accept_timer_, drain_timer_, drained_timer_, linger_timer_}) shared_->loop.cancel(timer);
  listeners_.clear();
  while (!shared_->connections.empty()) {
    InboundConnection& connection = shared_->connections.back();
    connection.close();
    shared_->remove(connection);
  }
}

void InboundPort::add(net::UniqueFd fd, net::Address address, bool shared_socket, std::shared_ptr<crypto::TlsServer> tls) {
  listeners_.push_back(std::make_unique<Listener>(*this, std::move(fd), std::move(address), shared_socket, std::move(tls)));
}

void InboundPort::accept_from(int listening_fd, const crypto::TlsServer* tls) {
  InboundShared& shared = *shared_;
  for (int i = 0; i < kAcceptsPerTurn && shared.connections.size() < shared.limits.max_connections; ++i) {
    Result<net::UniqueFd> accepted = net::accept_one(listening_fd);
    if (!accepted) {
      if (accepted.error().code == ErrorCode::kUnavailable) break;
      log::warn("pausing for {} ms: {}", to_ms(kAcceptPause), accepted.error().message);
      shared.loop.cancel(accept_timer_);
      accept_timer_ = shared.loop.call_after(kAcceptPause, [this] {
        accept_timer_ = 0;
        update_listeners();
      });
      break;
    }
    const std::string peer = net::peer_name(accepted->get());
    std::size_t& of_peer = shared.peers[std::string(InboundShared::host_of(peer))];
    const std::size_t most = shared.limits.max_connections_per_peer;
    if (most > 0 && of_peer >= most && peer != "unix") {
      accepted->reset();
      shared.acceptor.on_refused(503, peer, "the address has too many connections");
      if (stopped_) return;
      continue;
    }
    ++of_peer;
    net::Channel channel = tls != nullptr ? net::Channel(std::move(*accepted), tls->current()) : net::Channel(std::move(*accepted));
    shared.connections.add(std::make_unique<InboundConnection>(shared, std::move(channel), peer));
  }
  update_listeners();
}

void InboundPort::update_listeners() {
  const bool wanted = shared_->connections.size() < shared_->limits.max_connections && accept_timer_ == 0;
  if (wanted == accepting_) return;
  accepting_ = wanted;
  for (const auto& listener : listeners_) listener->accept(accepting_);
}

void InboundPort::on_change() {
  update_listeners();
  if (!on_drained_ || drained_timer_ != 0 || linger_timer_ != 0) return;
  for (std::size_t i = 0; i < shared_->connections.size(); ++i)
    if (!shared_->connections[i].settled()) return;
  drained_timer_ = shared_->loop.call_after(Duration::zero(), [this] { finish_drain(); });
}

void InboundPort::close_idle() {
  for (std::size_t i = shared_->connections.size(); i > 0; --i) {  // removing one puts the last in its place
    InboundConnection& connection = shared_->connections[i - 1];
    if (!connection.settled()) continue;
    connection.close();
    shared_->remove(connection);
  }
}

/// Cuts every connection; whoever answers on one is told.
void InboundPort::close_all() {
  while (!shared_->connections.empty()) shared_->connections.back().lose_client();
}

void InboundPort::finish_drain() {
  if (!on_drained_) return;
  for (net::TimerId* const timer : {&drain_timer_, &drained_timer_, &linger_timer_}) shared_->loop.cancel(std::exchange(*timer, 0));
  auto callback = std::move(on_drained_);
  on_drained_ = nullptr;
  callback();  // may destroy this
}

void InboundPort::drain(Duration deadline, std::move_only_function<void()> done, Duration linger) {
  InboundShared& shared = *shared_;
  shared.draining = true;
  listeners_.clear();
  on_drained_ = std::move(done);
  shared.loop.cancel(std::exchange(linger_timer_, 0));
  if (linger > Duration::zero() && !shared.connections.empty()) {
    linger_timer_ = shared.loop.call_after(linger, [this] {
      linger_timer_ = 0;
      close_idle();
      on_change();
    });
  } else {
    close_idle();
  }
  shared.loop.cancel(drain_timer_);
  drain_timer_ = shared.loop.call_after(deadline, [this] {
    drain_timer_ = 0;
    close_all();
    finish_drain();
  });
  on_change();
}

Inbound::Inbound(net::EventLoop& loop, InboundLimits limits, InboundAcceptor& acceptor)
    : port_(std::make_unique<InboundPort>(loop, limits, acceptor)) {}

Inbound::~Inbound() {
  port_->stop();
  net::EventLoop& loop = port_->shared().loop;
  loop.bury(std::move(port_));
}

Result<net::Address> Inbound::listen(const net::Address& address, std::shared_ptr<crypto::TlsServer> tls) {
  FLEXPERT_ASSIGN(net::UniqueFd fd, net::listen_on(address));
  FLEXPERT_ASSIGN(net::Address bound, net::bound_address(fd.get(), address));
  port_->add(std::move(fd), bound, false, std::move(tls));
  return bound;
}

Result<net::Address> Inbound::listen_on(net::UniqueFd listening, std::shared_ptr<crypto::TlsServer> tls) {
  FLEXPERT_ASSIGN(net::Address bound, net::adopt_listening(listening.get()));
  port_->add(std::move(listening), bound, true, std::move(tls));
  return bound;
}

void Inbound::set_limits(InboundLimits limits) { port_->shared().set_limits(limits); }

void Inbound::drain(Duration deadline, std::move_only_function<void()> done, Duration linger) {
  port_->drain(deadline, std::move(done), linger);
}

std::size_t Inbound::open_connections() const { return port_->shared().connections.size(); }
std::size_t Inbound::active_exchanges() const { return port_->shared().active_exchanges; }

}  // namespace flexpert::http
