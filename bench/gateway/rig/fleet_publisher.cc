#include "rig/fleet_publisher.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <thread>

#include <fmt/format.h>

#include "codec/fleet_json.h"
#include "rig/sockets.h"

namespace flexpert::bench {
namespace {

constexpr std::string_view kStreamHead = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n";
constexpr std::string_view kTaken = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
constexpr int kPeriodMs = 500;  // followers expect a snapshot every second

struct Follower {
  int fd = -1;
  std::string in;
  bool follows = false;
};

}  // namespace

struct FleetPublisher::Impl {
  int listening = -1;
  int wake[2] = {-1, -1};
  std::atomic<bool> stopping{false};
  std::mutex mutex;
  std::string line;              ///< the snapshot, with its newline; guarded by `mutex`
  std::uint64_t revision = 0;    ///< guarded by `mutex`
  std::vector<Follower> followers;
  std::thread thread;

  void run();
  bool take(Follower& follower);
  void send_snapshot(int fd, const std::string& snapshot) const {
    const std::string chunk = fmt::format("{:x}\r\n{}\r\n", snapshot.size(), snapshot);
    (void)!::send(fd, chunk.data(), chunk.size(), MSG_NOSIGNAL);
  }
};

FleetPublisher::FleetPublisher(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<FleetPublisher>> FleetPublisher::start() {
  auto impl = std::make_unique<Impl>();
  impl->listening = listen_locally(0);
  if (impl->listening < 0 || ::pipe(impl->wake) != 0) return fail(ErrorCode::kResourceExhausted, "no socket for the published fleet");
  std::unique_ptr<FleetPublisher> publisher(new FleetPublisher(std::move(impl)));
  publisher->publish({});
  publisher->impl_->thread = std::thread([raw = publisher->impl_.get()] { raw->run(); });
  return publisher;
}

FleetPublisher::~FleetPublisher() {
  impl_->stopping = true;
  (void)!::write(impl_->wake[1], "x", 1);
  impl_->thread.join();
  for (const Follower& follower : impl_->followers) ::close(follower.fd);
  for (const int fd : {impl_->listening, impl_->wake[0], impl_->wake[1]}) ::close(fd);
}

std::uint16_t FleetPublisher::port() const { return port_of(impl_->listening); }

void FleetPublisher::publish(const std::vector<PublishedServer>& servers) {
  FleetSnapshot snapshot;
  snapshot.model = "m";
  for (const PublishedServer& server : servers) {
    InstanceStatus instance;
    instance.id.value = server.id;
    instance.state = server.draining ? InstanceState::kDraining : InstanceState::kReady;
    instance.model = "m";
    instance.address = fmt::format("127.0.0.1:{}", server.port);
    snapshot.instances.push_back(std::move(instance));
  }
  {
    const std::lock_guard lock(impl_->mutex);
    snapshot.revision = ++impl_->revision;
    impl_->line = codec::encode(snapshot) + "\n";
  }
  (void)!::write(impl_->wake[1], "x", 1);
}

void FleetPublisher::Impl::run() {
  while (!stopping) {
    std::vector<pollfd> ready{{.fd = wake[0], .events = POLLIN, .revents = 0}, {.fd = listening, .events = POLLIN, .revents = 0}};
    for (const Follower& follower : followers) ready.push_back({.fd = follower.fd, .events = POLLIN, .revents = 0});
    const int count = ::poll(ready.data(), ready.size(), kPeriodMs);
    if ((ready[0].revents & POLLIN) != 0 || count == 0) {
      char buffer[64];
      if (count != 0) (void)!::read(wake[0], buffer, sizeof buffer);
      std::string snapshot;
      {
        const std::lock_guard lock(mutex);
        snapshot = line;
      }
      for (const Follower& follower : followers)
        if (follower.follows) send_snapshot(follower.fd, snapshot);
    }
    const std::size_t known = followers.size();
    if ((ready[1].revents & POLLIN) != 0)
      if (const int fd = ::accept4(listening, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC); fd >= 0) followers.push_back({.fd = fd, .in = {}});
    for (std::size_t i = known; i-- > 0;) {
      if (ready[i + 2].revents == 0 || take(followers[i])) continue;
      ::close(followers[i].fd);
      followers.erase(followers.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
}

/// Reads what a gateway sends: it asks for the fleet, or reports what it saw. False: it has gone.
bool FleetPublisher::Impl::take(Follower& follower) {
  char buffer[65536];
  const ssize_t count = ::recv(follower.fd, buffer, sizeof buffer, 0);
  if (count <= 0) return false;
  follower.in.append(buffer, static_cast<std::size_t>(count));
  const std::size_t end = follower.in.find("\r\n\r\n");
  if (end == std::string::npos) return true;
  if (follower.in.starts_with("GET /internal/fleet")) {
    follower.in.clear();
    follower.follows = true;
    (void)!::send(follower.fd, kStreamHead.data(), kStreamHead.size(), MSG_NOSIGNAL);
    const std::lock_guard lock(mutex);
    send_snapshot(follower.fd, line);
    return true;
  }
  const std::size_t length = follower.in.find("Content-Length: ");
  const std::size_t body = length == std::string::npos ? 0 : std::strtoull(follower.in.c_str() + length + 16, nullptr, 10);
  if (follower.in.size() < end + 4 + body) return true;
  follower.in.erase(0, end + 4 + body);
  (void)!::send(follower.fd, kTaken.data(), kTaken.size(), MSG_NOSIGNAL);
  return true;
}

}  // namespace flexpert::bench
