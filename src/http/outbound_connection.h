#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "http/connection_list.h"
#include "http/outbound.h"
#include "net/channel.h"
#include "net/name_lookup.h"
#include "net/timer_wheel.h"

namespace flexpert::http {

class OutboundConnection;
class OutboundPool;

/// What the connections of one Outbound share.
class OutboundShared {
 public:
  OutboundShared(net::EventLoop& event_loop, OutboundOptions outbound_options);
  ~OutboundShared();
  OutboundShared(const OutboundShared&) = delete;
  OutboundShared& operator=(const OutboundShared&) = delete;

  net::EventLoop& loop;
  const OutboundOptions options;
  ConnectionList<OutboundConnection> connections;
  bool stopped = false;

  /// Where answers are read; their bytes last until the next read.
  static constexpr std::size_t kScratch = 64 * 1024;
  std::array<char, kScratch> scratch;
  codec::Http1HeadReader head_reader;
  codec::Http1ResponseView head;

  void close_all();
};

/// One upstream. Its requests go on when it is destroyed.
class OutboundPool final : public OutboundUpstream {
 public:
  OutboundPool(std::shared_ptr<OutboundShared> shared, net::Address address, ClientTls tls);
  ~OutboundPool() override;

  OutboundRequest* send(std::string_view head, std::span<const std::string_view> body, bool answers_head,
                        OutboundListener& listener) override;
  [[nodiscard]] std::size_t idle_connections() const override { return idle_.size(); }
  [[nodiscard]] std::size_t open_connections() const override { return open; }

  [[nodiscard]] OutboundShared& shared() { return *shared_; }
  void keep(OutboundConnection& connection);
  void forget_idle(OutboundConnection& connection) { std::erase(idle_, &connection); }

  const net::Address address;
  const ClientTls tls;
  std::size_t open = 0;

 private:
  std::shared_ptr<OutboundShared> shared_;
  std::vector<OutboundConnection*> idle_;  ///< the most recently used last
};

/// One connection to an upstream and the request on it. Watched once, edge-triggered.
class OutboundConnection final : public OutboundRequest, private net::FdHandler, private net::CoarseTimer {
 public:
  OutboundConnection(OutboundShared& shared, OutboundPool& pool);
  ~OutboundConnection() override;

  void begin(std::string_view head, std::span<const std::string_view> body, bool answers_head, OutboundListener& listener);
  void cancel() override;
  void set_reading(bool reading) override;

  /// Closes without telling anybody.
  void close();
  /// Does what could not be done inside a call.
  void settle();
  /// Its upstream is gone: the request goes on, the connection is not kept.
  void orphan() { pool_ = nullptr; }
  [[nodiscard]] bool belongs_to(const OutboundPool& pool) const { return pool_ == &pool; }
  [[nodiscard]] bool idle() const { return state_ == State::kIdle; }

  std::size_t place = 0;  ///< in the list of connections
  bool touched = false;

 private:
  enum class State : std::uint8_t { kIdle, kConnecting, kWaiting, kBody };
  /// What is needed until there is a connection.
  struct Connecting {
    std::unique_ptr<net::NameLookup> lookup;
    std::vector<net::Address> candidates;  ///< of a host name, not yet tried, the next one last
    net::Address address;                  ///< what is being tried
    ClientTls tls;                         ///< kept here: the upstream may go while its name is looked up
    bool shaking = false;                  ///< it is connected, and the handshake of TLS goes on
  };
  /// A head of which the end has not come yet.
  struct PartialHead {
    explicit PartialHead(const codec::Http1Limits& limits) : reader(limits) {}
    std::string bytes;
    codec::Http1ResponseView head;
    codec::Http1HeadReader reader;
  };

  void on_events(std::uint32_t events) override;
  void on_timeout() override;

  void start_over();
  void connect();
  void connect_to(const net::Address& address);
  void connect_to_next(Error last_error);
  void finish_connect();
  void shake();
  void write_request();
  void read_more();
  void process(std::string_view input);
  bool take_head(std::string_view& input);
  void take_body(std::string_view input);
  void finish(bool clean);
  void lost(int error);
  void fail(OutboundFailure failure, Error error);
  void fail_later(OutboundFailure failure, Error error);
  void retire();
  void hang_up();
  [[nodiscard]] std::string name() const;

  OutboundShared& shared_;
  OutboundPool* pool_;  ///< null once the upstream is gone
  net::Channel channel_;
  OutboundListener* listener_ = nullptr;
  std::vector<std::string_view> parts_;  ///< of the request, to be sent again if need be
  std::size_t part_ = 0;                 ///< the first that is not sent whole
  std::size_t part_sent_ = 0;            ///< of it
  codec::Http1BodyReader body_reader_;
  std::unique_ptr<PartialHead> partial_;
  std::unique_ptr<Connecting> connecting_;
  struct Failure {
    OutboundFailure failure;
    Error error;
  };
  std::unique_ptr<Failure> failure_;  ///< to be told when it is settled
  State state_ = State::kConnecting;
  std::uint8_t interim_ = 0;   ///< answers read of this request
  bool closed_ = false;
  bool readable_ = false;      ///< there may be bytes, or the end, to read
  bool hung_up_ = false;       ///< the upstream sends no more than what is there
  bool reading_ = true;
  bool blocked_ = false;
  bool unsent_ = false;        ///< the request leaves when the events of this turn are handled
  bool answers_head_ = false;
  bool keep_alive_ = false;
  bool used_before_ = false;   ///< the request met a kept connection, and was not sent again
  bool anything_read_ = false;
};

}  // namespace flexpert::http
