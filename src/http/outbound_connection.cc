#include "http/outbound_connection.h"

#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "net/socket.h"

namespace flexpert::http {
namespace {

/// Reads of one event before the others have their turn.
constexpr int kReadsPerEvent = 8;
constexpr std::size_t kMostParts = 16;
/// Interim answers (1xx) that are read before the one that counts.
constexpr int kMostInterim = 64;
/// Requests up to this size leave together with what else this turn has to send; larger ones while they are in the cache.
constexpr std::size_t kSentTogether = 32 * 1024;

}  // namespace

OutboundConnection::OutboundConnection(OutboundShared& shared, OutboundPool& pool)
    : CoarseTimer(shared.loop), shared_(shared), pool_(&pool) {
  ++pool.open;
}

OutboundConnection::~OutboundConnection() { close(); }

std::string OutboundConnection::name() const { return pool_ != nullptr ? pool_->address.to_string() : "the upstream"; }

void OutboundConnection::hang_up() {
  if (channel_.open()) shared_.loop.unwatch(channel_.fd());
  channel_.close();
  connecting_.reset();
  blocked_ = false;
  readable_ = false;
  hung_up_ = false;
}

void OutboundConnection::close() {
  if (closed_) return;
  closed_ = true;
  clear();
  hang_up();
  listener_ = nullptr;
  if (pool_ == nullptr) return;
  --pool_->open;
  if (state_ == State::kIdle) pool_->forget_idle(*this);
}

void OutboundConnection::retire() {
  if (closed_) return;
  close();
  shared_.connections.remove(*this);
}

void OutboundConnection::cancel() { retire(); }

void OutboundConnection::begin(std::string_view head, std::span<const std::string_view> body, bool answers_head,
                               OutboundListener& listener) {
  listener_ = &listener;
  parts_.clear();
  std::size_t size = head.size();
  if (!head.empty()) parts_.push_back(head);
  for (const std::string_view part : body) {
    if (!part.empty()) parts_.push_back(part);
    size += part.size();
  }
  part_ = 0;
  part_sent_ = 0;
  answers_head_ = answers_head;
  anything_read_ = false;
  interim_ = 0;
  reading_ = true;
  used_before_ = state_ == State::kIdle;
  if (!used_before_) return connect();
  state_ = State::kWaiting;
  if (size > kSentTogether) return write_request();
  unsent_ = true;
  shared_.connections.touch(*this);
}

/// Leaves a kept connection that was no good, for a fresh one.
void OutboundConnection::start_over() {
  hang_up();
  unsent_ = false;
  part_ = 0;
  part_sent_ = 0;
  used_before_ = false;
  connect();
}

void OutboundConnection::connect() {
  state_ = State::kConnecting;
  set(shared_.options.connect_timeout);
  connecting_ = std::make_unique<Connecting>();
  if (pool_ == nullptr || shared_.stopped)
    return fail_later(OutboundFailure::kConnect, {ErrorCode::kUnavailable, "the upstream is not used any more"});
  const net::Address& address = pool_->address;
  connecting_->address = address;
  connecting_->tls = pool_->tls;
  if (!address.needs_lookup()) return connect_to(address);
  auto lookup = net::NameLookup::start(shared_.loop, address, [this](Result<std::vector<net::Address>> found) {
    shared_.loop.bury(std::move(connecting_->lookup));
    if (!found) return fail(OutboundFailure::kConnect, std::move(found.error()));
    connecting_->candidates.assign(found->rbegin(), found->rend());
    connect_to_next({ErrorCode::kUnavailable, "the name has no address"});
  });
  if (!lookup) return fail_later(OutboundFailure::kConnect, std::move(lookup.error()));
  connecting_->lookup = std::move(*lookup);
}

void OutboundConnection::connect_to(const net::Address& address) {
  auto fd = net::start_connect(address);
  if (!fd) return connect_to_next(std::move(fd.error()));
  connecting_->address = address;
  const ClientTls& tls = connecting_->tls;
  channel_ = tls.context != nullptr ? net::Channel(std::move(*fd), *tls.context, tls.host) : net::Channel(std::move(*fd));
  shared_.loop.watch(channel_.fd(), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, this);
}

/// Tries the next address of a host name; with none left, `last_error` is why it failed.
void OutboundConnection::connect_to_next(Error last_error) {
  if (connecting_->candidates.empty()) {
    last_error.code = last_error.code == ErrorCode::kDeadlineExceeded ? last_error.code : ErrorCode::kUnavailable;
    return fail_later(OutboundFailure::kConnect, std::move(last_error));
  }
  const net::Address next = std::move(connecting_->candidates.back());
  connecting_->candidates.pop_back();
  connect_to(next);
}

void OutboundConnection::finish_connect() {
  if (auto connected = net::connect_result(channel_.fd(), connecting_->address); !connected) {
    shared_.loop.unwatch(channel_.fd());
    channel_.close();
    return connect_to_next(std::move(connected.error()));
  }
  shake();
}

void OutboundConnection::shake() {
  connecting_->shaking = true;
  switch (channel_.handshake()) {
    case net::Channel::Handshake::kGoesOn: return;
    case net::Channel::Handshake::kFailed: {
      Error error{ErrorCode::kUnavailable, fmt::format("no TLS connection to {}: {}", name(), channel_.describe(EPROTO))};
      return fail(OutboundFailure::kConnect, std::move(error));
    }
    case net::Channel::Handshake::kDone: break;
  }
  connecting_.reset();
  state_ = State::kWaiting;
  write_request();
}

void OutboundConnection::write_request() {
  while (part_ < parts_.size()) {
    std::array<iovec, kMostParts> vectors;
    std::size_t count = 0;
    for (std::size_t i = part_; i < parts_.size() && count < kMostParts; ++i) {
      const std::size_t skipped = i == part_ ? part_sent_ : 0;
      vectors[count++] = {.iov_base = const_cast<char*>(parts_[i].data()) + skipped, .iov_len = parts_[i].size() - skipped};
    }
    const net::Channel::Sent sent = count == 1 ? channel_.write(static_cast<const char*>(vectors[0].iov_base), vectors[0].iov_len)
                                               : channel_.write(std::span(vectors).first(count));
    if (sent.error != 0) {  // an answer that came before may say why: reading goes on until the end
      readable_ = true;
      part_ = parts_.size() + 1;
      shared_.connections.touch(*this);
      break;
    }
    if (sent.bytes == 0) {
      blocked_ = true;
      break;
    }
    for (std::size_t left = sent.bytes; left > 0;) {
      const std::size_t of_part = std::min(left, parts_[part_].size() - part_sent_);
      left -= of_part;
      part_sent_ += of_part;
      if (part_sent_ < parts_[part_].size()) break;
      ++part_;
      part_sent_ = 0;
    }
  }
  if (state_ == State::kWaiting) set(shared_.options.head_timeout);
}

void OutboundConnection::on_events(std::uint32_t events) {
  if (closed_) return;
  if (state_ == State::kConnecting) {
    if (connecting_->shaking) shake();
    else finish_connect();
    if (closed_ || state_ == State::kConnecting) return;
  } else if ((events & EPOLLOUT) != 0 && blocked_) {
    blocked_ = false;
    write_request();
  }
  const bool may_read = (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0 ||
                        ((events & EPOLLOUT) != 0 && channel_.read_awaits_writable());
  if (!may_read) return;
  if (unsent_) return start_over();  // nothing was asked yet: whatever this is, it is not the answer
  readable_ = true;
  hung_up_ = hung_up_ || (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
  if (state_ == State::kIdle) return retire();  // a kept connection has nothing to say
  read_more();
}

void OutboundConnection::on_timeout() {
  const auto late = [this](const char* what) {
    return Error{ErrorCode::kDeadlineExceeded, fmt::format("{} did not {} in time", name(), what)};
  };
  switch (state_) {
    case State::kIdle: return retire();
    case State::kConnecting: {
      const char* const what = connecting_->lookup != nullptr ? "have its name looked up"
                               : connecting_->shaking         ? "finish the handshake of TLS"
                                                              : "accept a connection";
      return fail(OutboundFailure::kConnect, late(what));
    }
    case State::kWaiting: return fail(OutboundFailure::kHeadTimeout, late("answer"));
    case State::kBody: return fail(OutboundFailure::kIdleTimeout, late("go on with its answer"));
  }
}

void OutboundConnection::set_reading(bool reading) {
  if (reading_ == reading) return;
  reading_ = reading;
  if (reading && readable_) shared_.connections.touch(*this);
  if (state_ != State::kBody) return;
  if (reading) set(shared_.options.idle_timeout);
  else clear();
}

void OutboundConnection::settle() {
  if (closed_) return;
  if (failure_ != nullptr) {
    const auto failure = std::move(failure_);
    return fail(failure->failure, std::move(failure->error));
  }
  if (std::exchange(unsent_, false)) write_request();
  if (readable_ && (state_ == State::kWaiting || state_ == State::kBody)) read_more();
}

void OutboundConnection::read_more() {
  for (int reads = 0; readable_ && reading_ && !closed_; ++reads) {
    if (reads == kReadsPerEvent) return shared_.connections.touch(*this);
    const net::Channel::Taken taken = channel_.read(shared_.scratch.data(), OutboundShared::kScratch);
    readable_ = !taken.drained || hung_up_;  // no event will tell of the end again
    if (taken.bytes > 0) {
      process({shared_.scratch.data(), taken.bytes});
      if (closed_ || state_ == State::kIdle) return;
    } else if (taken.ended || taken.error != 0) {
      return lost(taken.error);
    }
  }
}

void OutboundConnection::process(std::string_view input) {
  anything_read_ = true;
  if (state_ == State::kWaiting) {
    if (partial_ == nullptr) {
      if (!take_head(input)) return;
    } else {
      partial_->bytes.append(input);
      if (partial_->reader.read(partial_->bytes, partial_->head, answers_head_) == codec::Http1HeadOutcome::kNeedMore) return;
      const auto partial = std::move(partial_);  // it is whole, or wrong: read once more, where its bytes stay
      input = partial->bytes;
      if (take_head(input)) take_body(input);
      return;
    }
  } else {
    set(shared_.options.idle_timeout);
  }
  take_body(input);
}

/// Reads heads at the beginning of `input` up to the final one's end. Returns whether the body may be read.
bool OutboundConnection::take_head(std::string_view& input) {
  while (true) {
    shared_.head_reader.reset();
    switch (shared_.head_reader.read(input, shared_.head, answers_head_)) {
      case codec::Http1HeadOutcome::kHead: break;
      case codec::Http1HeadOutcome::kError:
        fail(OutboundFailure::kMalformed,
             {ErrorCode::kInvalidArgument, fmt::format("malformed answer from {}: {}", name(), shared_.head_reader.error().message)});
        return false;
      case codec::Http1HeadOutcome::kNeedMore:
        partial_ = std::make_unique<PartialHead>(codec::Http1Limits{.max_head_bytes = shared_.options.max_head_bytes});
        partial_->bytes = input;
        static_cast<void>(partial_->reader.read(partial_->bytes, partial_->head, answers_head_));
        return false;
    }
    input.remove_prefix(shared_.head.size);
    if (shared_.head.status >= 200) break;
    if (++interim_ <= kMostInterim) continue;
    fail(OutboundFailure::kMalformed, {ErrorCode::kInvalidArgument, fmt::format("malformed answer from {}: too many interim answers", name())});
    return false;
  }
  state_ = State::kBody;
  keep_alive_ = shared_.head.keep_alive;
  body_reader_.begin(shared_.head.framing, shared_.head.content_length);
  set(shared_.options.idle_timeout);
  listener_->on_head(shared_.head);
  return !closed_;
}

void OutboundConnection::take_body(std::string_view input) {
  while (true) {
    const codec::Http1Step step = body_reader_.next(input);
    input.remove_prefix(step.consumed);
    switch (step.event) {
      case codec::Http1Event::kBody:
        listener_->on_body(step.bytes);
        if (closed_) return;
        break;
      case codec::Http1Event::kEnd: return finish(input.empty());
      case codec::Http1Event::kError:
        return fail(OutboundFailure::kMalformed,
                    {ErrorCode::kInvalidArgument, fmt::format("malformed answer from {}: {}", name(), body_reader_.error().message)});
      default: return;
    }
  }
}

/// The answer is over. `clean`: nothing came behind it.
void OutboundConnection::finish(bool clean) {
  OutboundListener* const listener = std::exchange(listener_, nullptr);
  bool keep = clean && keep_alive_ && part_ == parts_.size() && pool_ != nullptr;
  if (keep && readable_) {  // the last read was full to the brim: is there more?
    const net::Channel::Taken taken = channel_.read(shared_.scratch.data(), 1);
    readable_ = false;
    keep = taken.bytes == 0 && !taken.ended && taken.error == 0;
  }
  if (keep) {
    state_ = State::kIdle;
    set(shared_.options.keep_idle);
    pool_->keep(*this);
  } else {
    retire();
  }
  listener->on_end();
}

/// The connection is gone, or its sending side is (error == 0).
void OutboundConnection::lost(int error) {
  if (error == 0 && state_ == State::kBody && body_reader_.finish() == codec::Http1Event::kEnd) {
    keep_alive_ = false;
    return finish(false);
  }
  if (!anything_read_ && used_before_ && pool_ != nullptr) return start_over();
  const std::string who = name();
  const std::string why = error != 0 ? channel_.describe(error) : "the connection was closed";
  if (state_ == State::kBody)
    return fail(OutboundFailure::kBroken, {ErrorCode::kDataLoss, fmt::format("the answer from {} broke off: {}", who, why)});
  if (anything_read_)
    return fail(OutboundFailure::kNoAnswer, {ErrorCode::kDataLoss, fmt::format("the answer from {} broke off: {}", who, why)});
  fail(OutboundFailure::kNoAnswer, {ErrorCode::kUnavailable, fmt::format("no answer from {}: {}", who, why)});
}

void OutboundConnection::fail(OutboundFailure failure, Error error) {
  OutboundListener* const listener = std::exchange(listener_, nullptr);
  retire();
  if (listener != nullptr) listener->on_error(failure, error);
}

void OutboundConnection::fail_later(OutboundFailure failure, Error error) {
  failure_ = std::make_unique<Failure>(Failure{failure, std::move(error)});
  shared_.connections.touch(*this);
}

}  // namespace flexpert::http
