// The reading half of a connection: from bytes to requests. The answers are in inbound_answer.cc.
#include "http/inbound_connection.h"

#include <sys/epoll.h>

#include <algorithm>
#include <cstring>

#include "base/log.h"
#include "codec/http1.h"
#include "http/message.h"

namespace flexpert::http {
namespace {

/// What follows a body in its block, for parsers that read whole words.
constexpr std::size_t kPadding = 64;
constexpr std::size_t kFirstBlock = 2048;
constexpr std::size_t kMostSlots = 256;
/// Reads of one event before the others have their turn.
constexpr int kReadsPerEvent = 8;
/// How long a connection that we end is kept open for the client to read the answer and close.
constexpr Duration kLinger = Seconds(2);

}  // namespace

InboundShared::InboundShared(net::EventLoop& event_loop, InboundLimits inbound_limits, InboundAcceptor& inbound_acceptor)
    : loop(event_loop), limits(inbound_limits), acceptor(inbound_acceptor), pool(event_loop), connections(event_loop) {}

InboundShared::~InboundShared() = default;

std::unique_ptr<InboundSlot> InboundShared::take_slot() {
  if (slots_.empty()) return std::make_unique<InboundSlot>(codec::Http1Limits{.max_head_bytes = limits.max_head_bytes});
  auto slot = std::move(slots_.back());
  slots_.pop_back();
  return slot;
}

void InboundShared::give_slot(std::unique_ptr<InboundSlot> slot) {
  if (slot != nullptr && slots_.size() < kMostSlots) slots_.push_back(std::move(slot));
}

void InboundShared::set_limits(InboundLimits new_limits) {
  limits = new_limits;
  slots_.clear();  // they know the old ones
}

void InboundShared::remove(InboundConnection& connection) {
  if (const auto peer = peers.find(std::string(host_of(connection.peer()))); peer != peers.end() && --peer->second == 0) peers.erase(peer);
  connections.remove(connection);
}

InboundConnection::InboundConnection(InboundShared& shared, net::Channel channel, std::string_view peer)
    : CoarseTimer(shared.loop), shared_(shared), channel_(std::move(channel)), shaking_(channel_.secure()) {
  peer_size_ = static_cast<std::uint8_t>(std::min(peer.size(), peer_.size()));
  std::memcpy(peer_.data(), peer.data(), peer_size_);
  shared_.loop.watch(channel_.fd(), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, this);
  set(shaking_ ? shared_.limits.head_timeout : shared_.limits.idle_timeout);
}

InboundConnection::~InboundConnection() {
  close();
  release_input();
  out_.clear(shared_.pool);
}

bool InboundConnection::settled() const {
  const bool quiet = state_ == State::kIdle || state_ == State::kLingering || (state_ == State::kHead && in_used_ <= 2);
  return quiet && pending_.empty() && out_.empty();
}

void InboundConnection::close(End end) {
  if (closed_) return;
  closed_ = true;
  clear();
  shared_.loop.unwatch(channel_.fd());
  if (end == End::kReset) channel_.reset();
  else channel_.close();
  if (in_exchange_) --shared_.active_exchanges;
  in_exchange_ = false;
}

void InboundConnection::lose_client(End end) {
  if (closed_) return;
  InboundListener* const listener = in_exchange_ ? std::exchange(listener_, nullptr) : nullptr;
  close(end);
  shared_.remove(*this);
  if (shared_.on_change) shared_.on_change();
  if (listener != nullptr) listener->on_client_gone();
}

void InboundConnection::on_events(std::uint32_t events) {
  if ((events & EPOLLOUT) != 0 && blocked_) {
    blocked_ = false;
    settle();
  }
  const bool may_read = (events & EPOLLIN) != 0 || ((events & EPOLLOUT) != 0 && channel_.read_awaits_writable());
  if (may_read && !closed_) {
    readable_ = true;
    read_more();
  }
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0 && !closed_) {
    flush();
    lose_client();
  }
}

void InboundConnection::on_timeout() {
  if (blocked_) {
    shared_.loop.unwatch(channel_.fd());
    channel_.reset();
    return lose_client();
  }
  switch (state_) {
    case State::kHead:
      if (in_used_ <= 2) return lose_client();
      return refuse(408, "the request's header section did not come in time");
    case State::kBody: return refuse(408, "the request's body did not come in time");
    case State::kIdle:
    case State::kLingering: return lose_client();
    case State::kAnswering: return;
  }
}

void InboundConnection::arm_timer() {
  write_timer_ = blocked_;
  if (blocked_) return set(shared_.limits.write_timeout);
  switch (state_) {
    case State::kIdle: return set(shared_.limits.idle_timeout);
    case State::kHead: return set(in_used_ <= 2 ? shared_.limits.idle_timeout : shared_.limits.head_timeout);
    case State::kBody: return await_body();
    case State::kAnswering: return clear();
    case State::kLingering: return set(kLinger);
  }
}

/// Sets the timer for the next piece of a body: when the pause, or the average rate since it began, gets too bad.
void InboundConnection::await_body() {
  const InboundLimits& limits = shared_.limits;
  const TimePoint now = shared_.loop.timer_base();
  Duration left = limits.body_idle_timeout;
  if (limits.min_body_bytes_per_s > 0) {
    const Duration allowed = std::max(limits.body_grace, Duration(Seconds((in_used_ - body_at_) / limits.min_body_bytes_per_s)));
    left = std::min(left, body_began_ + allowed - now);
  }
  set(left);
}

void InboundConnection::read_more() {
  for (int reads = 0; readable_ && !closed_ && state_ != State::kAnswering; ++reads) {
    if (reads == kReadsPerEvent) {
      resume_ = true;
      return shared_.connections.touch(*this);
    }
    if (state_ == State::kBody && slot_->head.framing == codec::Http1Framing::kLength) {
      read_body();
      continue;
    }
    const net::Channel::Taken taken = channel_.read(shared_.scratch.data(), InboundShared::kScratch);
    readable_ = !taken.drained;
    if (taken.ended || taken.error != 0) {
      if (shaking_ && taken.error != 0) log::debug("{}: {}", peer(), channel_.describe(taken.error));
      return lose_client();
    }
    if (shaking_ && channel_.handshake() == net::Channel::Handshake::kDone) {
      shaking_ = false;
      arm_timer();
    }
    if (taken.bytes > 0) process({shared_.scratch.data(), taken.bytes});
  }
}

/// Reads a body of known length to where it stays. What may come behind it goes into the padding first.
void InboundConnection::read_body() {
  const std::size_t whole = body_at_ + slot_->head.content_length;
  const net::Channel::Taken taken = channel_.read(in_.data + in_used_, whole - in_used_ + kPadding);
  readable_ = !taken.drained;
  if (taken.ended || taken.error != 0) return lose_client();
  in_used_ += taken.bytes;
  if (in_used_ < whole) return await_body();
  pending_.assign(in_.data + whole, in_used_ - whole);
  in_used_ = whole;
  dispatch();
  if (!closed_ && state_ == State::kIdle && !pending_.empty()) process(std::exchange(pending_, {}));
}

void InboundConnection::process(std::string_view input) {
  processing_ = true;
  while (!closed_ && state_ != State::kLingering && !input.empty()) {
    if (state_ == State::kAnswering) {
      pending_.append(input);
      break;
    }
    if (state_ != State::kBody) {
      input = process_head(input);
    } else if (slot_->head.framing == codec::Http1Framing::kChunked) {
      input = process_chunks(input);
    } else {  // what was received together with an earlier request
      const std::size_t taken = std::min<std::size_t>(input.size(), body_at_ + slot_->head.content_length - in_used_);
      std::memcpy(in_.data + in_used_, input.data(), taken);
      in_used_ += taken;
      input.remove_prefix(taken);
      if (body_is_whole()) dispatch();
      else await_body();
    }
  }
  processing_ = false;
}

/// Reads on in a head. Returns what is behind it.
std::string_view InboundConnection::process_head(std::string_view input) {
  const bool first = state_ == State::kIdle;
  if (first) {
    slot_ = shared_.take_slot();
    slot_->head_reader.reset();
  } else {
    shared_.pool.grow(in_, in_used_, in_used_ + input.size() + kPadding);
    std::memcpy(in_.data + in_used_, input.data(), input.size());
    in_used_ += input.size();
  }
  const std::string_view bytes = first ? input : std::string_view(in_.data, in_used_);
  switch (slot_->head_reader.read(bytes, slot_->head)) {
    case codec::Http1HeadOutcome::kHead: return begin_request(bytes, !first);
    case codec::Http1HeadOutcome::kError: {
      const codec::Http1Error error = slot_->head_reader.error();
      refuse(error.status, error.message);
      return {};
    }
    case codec::Http1HeadOutcome::kNeedMore: break;
  }
  if (first) {
    in_ = shared_.pool.take(std::max(kFirstBlock, bytes.size() + kPadding));
    std::memcpy(in_.data, bytes.data(), bytes.size());
    in_used_ = bytes.size();
  }
  if (first || in_used_ - input.size() <= 2) {
    state_ = State::kHead;
    arm_timer();  // a slow head does not get more time by the byte
  }
  return {};
}

/// The head is there: makes a place for the whole request and tells the acceptor. Returns what is behind head and body.
std::string_view InboundConnection::begin_request(std::string_view bytes, bool in_block) {
  codec::Http1RequestView& head = slot_->head;
  if (head.framing == codec::Http1Framing::kLength && head.content_length > shared_.limits.max_body_bytes) {
    refuse(413, fmt::format("the request's body is larger than {} bytes", shared_.limits.max_body_bytes));
    return {};
  }
  const std::size_t whole = head.size + (head.framing == codec::Http1Framing::kLength ? head.content_length : 0);
  const std::size_t here = std::min(whole, bytes.size());
  std::string behind;
  std::string_view rest = bytes.substr(here);
  if (!in_block) {
    in_ = shared_.pool.take(whole + kPadding);
    std::memcpy(in_.data, bytes.data(), here);
  } else {
    behind = rest;  // its place is needed
    shared_.pool.grow(in_, here, whole + kPadding);
  }
  codec::http1_rebase(head, bytes.data(), in_.data);
  in_used_ = here;
  body_at_ = head.size;
  body_size_ = 0;
  body_began_ = shared_.loop.now();
  answers_head_ = head.method == "HEAD";
  client_is_1_0_ = head.minor_version == 0;
  keep_alive_ = head.keep_alive;
  started_ = false;
  in_exchange_ = true;
  listener_ = nullptr;
  ++requests_;
  ++shared_.active_exchanges;
  state_ = State::kBody;
  if (head.framing == codec::Http1Framing::kChunked) slot_->body_reader.begin(head.framing, 0);
  shared_.acceptor.on_head(*this);
  if (!closed_ && state_ == State::kBody) {
    if (body_is_whole()) {
      dispatch();
    } else {
      if (head.expects_continue && rest.empty() && in_used_ == body_at_) {
        out_.append(shared_.pool, "HTTP/1.1 100 Continue\r\n\r\n");
        shared_.connections.touch(*this);
      }
      await_body();
    }
  }
  if (!in_block || rest.empty() || closed_) return rest;
  process(behind);
  return {};
}

bool InboundConnection::body_is_whole() const {
  switch (slot_->head.framing) {
    case codec::Http1Framing::kNone: return true;
    case codec::Http1Framing::kLength: return in_used_ == body_at_ + slot_->head.content_length;
    default: return false;
  }
}

std::string_view InboundConnection::process_chunks(std::string_view input) {
  while (true) {
    const codec::Http1Step step = slot_->body_reader.next(input);
    input.remove_prefix(step.consumed);
    switch (step.event) {
      case codec::Http1Event::kBody: {
        const std::size_t used = in_used_ + step.bytes.size();
        if (used - body_at_ > shared_.limits.max_body_bytes) {
          refuse(413, fmt::format("the request's body is larger than {} bytes", shared_.limits.max_body_bytes));
          return {};
        }
        if (used + kPadding > in_.capacity) {
          const char* const before = in_.data;
          shared_.pool.grow(in_, in_used_, std::max<std::size_t>(used + kPadding, std::size_t{2} * in_.capacity));
          codec::http1_rebase(slot_->head, before, in_.data);
        }
        std::memcpy(in_.data + in_used_, step.bytes.data(), step.bytes.size());
        in_used_ = used;
        break;
      }
      case codec::Http1Event::kEnd:
        dispatch();
        return input;
      case codec::Http1Event::kError: {
        const codec::Http1Error error = slot_->body_reader.error();
        refuse(error.status, error.message);
        return {};
      }
      default: await_body(); return {};
    }
  }
}

void InboundConnection::dispatch() {
  body_size_ = in_used_ - body_at_;
  state_ = State::kAnswering;
  arm_timer();
  shared_.acceptor.on_request(*this);
}

void InboundConnection::release_input() {
  shared_.pool.give(in_);
  in_used_ = 0;
  body_at_ = 0;
  body_size_ = 0;
  shared_.give_slot(std::move(slot_));
}

void InboundConnection::release_request() {
  if (state_ == State::kAnswering) release_input();
}

}  // namespace flexpert::http
