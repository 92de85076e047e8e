#pragma once

#include <array>
#include <string>
#include <unordered_map>
#include <vector>

#include "http/answer_head.h"
#include "http/connection_list.h"
#include "http/inbound.h"
#include "http/out_buffer.h"
#include "net/channel.h"
#include "net/timer_wheel.h"

namespace flexpert::http {

class InboundConnection;

/// What is needed to read one request; kept for the next one.
struct InboundSlot {
  explicit InboundSlot(const codec::Http1Limits& limits) : head_reader(limits), body_reader(limits) {}
  codec::Http1RequestView head;
  codec::Http1HeadReader head_reader;
  codec::Http1BodyReader body_reader;
};

/// What the connections of one Inbound share: memory, limits, and the list of themselves.
class InboundShared {
 public:
  InboundShared(net::EventLoop& event_loop, InboundLimits inbound_limits, InboundAcceptor& inbound_acceptor);
  ~InboundShared();
  InboundShared(const InboundShared&) = delete;
  InboundShared& operator=(const InboundShared&) = delete;

  net::EventLoop& loop;
  InboundLimits limits;
  InboundAcceptor& acceptor;
  BlockPool pool;
  DateLine date;
  ConnectionList<InboundConnection> connections;
  std::size_t active_exchanges = 0;
  bool draining = false;
  std::function<void()> on_change;  ///< a connection has gone, or, while draining, has less to do than before
  std::unordered_map<std::string, std::size_t> peers;  ///< connections of each IP address
  /// Returns an address without its port.
  static std::string_view host_of(std::string_view peer) { return peer.substr(0, peer.rfind(':')); }

  /// Where bytes are read that have no place yet; its contents last until the next read.
  static constexpr std::size_t kScratch = 20 * 1024;
  std::array<char, kScratch> scratch;

  std::unique_ptr<InboundSlot> take_slot();
  void give_slot(std::unique_ptr<InboundSlot> slot);
  void set_limits(InboundLimits new_limits);
  /// Destroys a connection after this event.
  void remove(InboundConnection& connection);

 private:
  std::vector<std::unique_ptr<InboundSlot>> slots_;
};

/// One client's connection: reads requests, hands them out one at a time, sends the answers in order. Watched once, edge-triggered.
class InboundConnection final : public InboundExchange, private net::FdHandler, private net::CoarseTimer {
 public:
  InboundConnection(InboundShared& shared, net::Channel channel, std::string_view peer);
  ~InboundConnection() override;

  [[nodiscard]] const codec::Http1RequestView& head() const override { return slot_->head; }
  [[nodiscard]] std::string_view body() const override { return {in_.data + body_at_, body_size_}; }
  [[nodiscard]] std::string_view peer() const override { return {peer_.data(), peer_size_}; }
  [[nodiscard]] bool secure() const override { return channel_.secure(); }
  void set_listener(InboundListener* listener) override { listener_ = listener; }
  void release_request() override;
  void close_after_answer() override { keep_alive_ = false; }
  void respond(int status, std::string_view field_lines, std::string_view body) override;
  void start(int status, std::string_view field_lines, std::optional<std::uint64_t> content_length) override;
  bool write(std::string_view piece) override;
  void finish() override;
  void abort() override;
  [[nodiscard]] bool started() const override { return started_; }
  [[nodiscard]] std::size_t buffered_bytes() const override { return out_.size(); }

  /// Tells whether nothing is in progress: no request begun, no answer owed or on its way out.
  [[nodiscard]] bool settled() const;
  enum class End : std::uint8_t { kOrderly, kReset };
  /// Closes without telling anybody.
  void close(End end = End::kOrderly);
  /// Closes and tells the listener.
  void lose_client(End end = End::kOrderly);
  /// Sends what was written, and reads on if that was put off.
  void settle();

  std::size_t place = 0;  ///< in the list of connections
  bool touched = false;

 private:
  enum class State : std::uint8_t { kIdle, kHead, kBody, kAnswering, kLingering };

  void on_events(std::uint32_t events) override;
  void on_timeout() override;

  void read_more();
  void read_body();
  void process(std::string_view input);
  std::string_view process_head(std::string_view input);
  std::string_view process_chunks(std::string_view input);
  std::string_view begin_request(std::string_view bytes, bool in_block);
  bool body_is_whole() const;
  void await_body();
  void dispatch();
  void refuse(int status, std::string_view message);

  std::string_view compose(char* to, int status, std::string_view field_lines, std::optional<std::uint64_t> length, bool chunked);
  void send_now(std::string_view head, std::string_view body);
  bool may_keep_alive() const;
  void end_exchange(bool keep_alive);
  void linger();
  void cut_off();
  void flush();
  void release_input();
  void arm_timer();

  InboundShared& shared_;
  net::Channel channel_;
  InboundListener* listener_ = nullptr;
  std::unique_ptr<InboundSlot> slot_;  ///< from a request's first byte to its answer's end
  Block in_;                           ///< the request: head, then body
  std::size_t in_used_ = 0;
  std::size_t body_at_ = 0;
  std::size_t body_size_ = 0;
  OutBuffer out_;
  std::string pending_;                ///< received behind the request that is being answered
  std::uint64_t answer_left_ = 0;      ///< with a Content-Length: bytes not yet written
  TimePoint body_began_{};
  std::uint64_t requests_ = 0;
  std::array<char, 54> peer_;
  std::uint8_t peer_size_ = 0;
  State state_ = State::kIdle;
  bool closed_ = false;
  bool readable_ = false;          ///< there may be bytes to read
  bool shaking_ = false;           ///< the handshake of TLS goes on
  bool processing_ = false;
  bool resume_ = false;            ///< goes on reading when it is settled
  bool blocked_ = false;           ///< the kernel takes no more: an event will tell when it does
  bool failed_ = false;            ///< to be closed when it is settled
  bool write_timer_ = false;       ///< the timer is that of a client that takes nothing
  bool lagging_ = false;           ///< write() has returned false
  bool reset_ = false;             ///< ends with a reset once everything is sent
  bool in_exchange_ = false;
  bool started_ = false;
  bool answers_head_ = false;
  bool client_is_1_0_ = false;
  bool keep_alive_ = false;
  bool chunked_answer_ = false;
  bool counted_answer_ = false;    ///< has a Content-Length
  bool no_body_ = false;
  bool write_shut_ = false;
};

}  // namespace flexpert::http
