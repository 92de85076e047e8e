#include "engine/expert/expert_link.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <poll.h>
#include <sys/socket.h>

#include "net/socket.h"

namespace flexpert::engine {
namespace {

namespace wire = expert_protocol;

constexpr Duration kFirstPause = Milliseconds(5);
constexpr Duration kLongestPause = Milliseconds(500);
constexpr int kSocketBufferBytes = 4 << 20;

}  // namespace

ExpertLink::ExpertLink(ExpertEndpoint endpoint, const wire::Hello& hello, Duration connect_timeout)
    : endpoint_(std::move(endpoint)), hello_(hello), connect_timeout_(connect_timeout) {
  auto address = net::Address::parse(endpoint_.address);
  if (!address) {
    refusal_ = address.error().message;
    return;
  }
  const std::string& host = address->host_or_path;
  on_this_host_ = address->is_unix || host == "localhost" || host == "::1" || host.starts_with("127.");
  address_ = std::move(*address);
}

short ExpertLink::wanted_events() const {
  if (state_ == State::kConnecting) return POLLOUT;
  return static_cast<short>(POLLIN | (unsent() ? POLLOUT : 0));
}

void ExpertLink::maintain(TimePoint now) {
  if (state_ == State::kDown && address_ && now >= retry_at_) {
    if (!begin(now)) fail(now);
  } else if ((state_ == State::kConnecting || state_ == State::kGreeting) && now >= give_up_at_) {
    fail(now);
  }
}

Result<void> ExpertLink::begin(TimePoint now) {
  FLEXPERT_ASSIGN(fd_, net::start_connect(*address_));
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDBUF, &kSocketBufferBytes, sizeof kSocketBufferBytes);
  state_ = State::kConnecting;
  give_up_at_ = now + connect_timeout_;
  decoder_.clear();
  decoder_.set_max_payload(wire::kMaxHelloPayload);
  wire::encode(out_, 0, hello_);
  // A Unix socket is connected at once, TCP to this machine nearly so.
  pollfd ready{.fd = fd_.get(), .events = POLLOUT, .revents = 0};
  if (::poll(&ready, 1, 0) == 1) return on_ready(ready.revents, now);
  return {};
}

Result<void> ExpertLink::on_ready(short events, TimePoint) {
  if (state_ == State::kDown || events == 0) return {};
  if (state_ == State::kConnecting) {
    FLEXPERT_TRY(net::connect_result(fd_.get(), *address_));
    state_ = State::kGreeting;
    FLEXPERT_TRY(send());
    return {};
  }
  if ((events & POLLOUT) != 0) FLEXPERT_TRY(send());
  if ((events & (POLLIN | POLLHUP | POLLERR)) != 0) FLEXPERT_TRY(receive());
  if (state_ == State::kGreeting) FLEXPERT_TRY(finish_hello());
  return {};
}

Result<void> ExpertLink::receive() {
  const auto space = decoder_.space(std::clamp<std::size_t>(decoder_.missing(), 65536, 4U << 20));
  const ssize_t got = ::recv(fd_.get(), space.data(), space.size(), 0);
  if (got > 0) {
    decoder_.received(static_cast<std::size_t>(got));
    return {};
  }
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return {};
  if (got == 0) return flexpert::fail(ErrorCode::kUnavailable, "the expert server closed the connection");
  return flexpert::fail(ErrorCode::kUnavailable, "receiving failed: {}", std::strerror(errno));
}

Result<void> ExpertLink::send() {
  while (sent_ < out_.size()) {
    const ssize_t sent = ::send(fd_.get(), out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) return {};
    if (sent <= 0) return flexpert::fail(ErrorCode::kUnavailable, "sending failed: {}", std::strerror(errno));
    sent_ += static_cast<std::size_t>(sent);
  }
  out_.clear();
  sent_ = 0;
  return {};
}

Result<void> ExpertLink::finish_hello() {
  FLEXPERT_ASSIGN(const auto frame, decoder_.next());
  if (!frame) return {};
  const auto checked = check_hello(*frame);
  refusal_ = checked ? std::string() : checked.error().message;
  if (!checked) {
    ++refusals_;
    return flexpert::fail(checked.error());
  }
  decoder_.set_max_payload(wire::kDefaultMaxPayload);
  state_ = State::kLive;
  pause_ = {};
  return {};
}

Result<void> ExpertLink::check_hello(const wire::Frame& frame) {
  if (frame.type == wire::FrameType::kError) {
    FLEXPERT_ASSIGN(const auto error, wire::decode_error(frame.payload));
    return flexpert::fail(ErrorCode::kFailedPrecondition, "{}", error.text);
  }
  if (frame.type != wire::FrameType::kHelloReply) return flexpert::fail(ErrorCode::kDataLoss, "hello was not answered with a hello");
  FLEXPERT_ASSIGN(server_, wire::decode_hello_reply(frame.payload));
  if (server_.model_fingerprint != hello_.model_fingerprint)
    return flexpert::fail(ErrorCode::kFailedPrecondition, "it serves another model: fingerprint {}, wanted {}", server_.model_fingerprint,
                          hello_.model_fingerprint);
  if (server_.kernel_identity != hello_.kernel_identity)
    return flexpert::fail(ErrorCode::kFailedPrecondition, "it has other kernels: \"{}\", wanted \"{}\"", server_.kernel_identity,
                          hello_.kernel_identity);
  if (server_.model_epoch != hello_.model_epoch || server_.hidden != hello_.hidden || server_.geometry != hello_.geometry)
    return flexpert::fail(ErrorCode::kFailedPrecondition, "it serves another model epoch or geometry: epoch {}, hidden {}",
                          server_.model_epoch, server_.hidden);
  if (!server_.instance.empty() && server_.instance != endpoint_.id.value)
    return flexpert::fail(ErrorCode::kFailedPrecondition, "another instance answers there: {}", server_.instance);
  return {};
}

Result<std::optional<wire::Frame>> ExpertLink::next_frame() {
  if (state_ != State::kLive) return std::optional<wire::Frame>{};
  return decoder_.next();
}

void ExpertLink::fail(TimePoint now) {
  fd_.reset();
  state_ = State::kDown;
  out_.clear();
  sent_ = 0;
  decoder_.clear();
  pause_ = std::clamp<Duration>(pause_ * 2, kFirstPause, kLongestPause);
  retry_at_ = now + pause_;
}

}  // namespace flexpert::engine
