#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include "codec/http1.h"
#include "http/server.h"
#include "net/deadline_timer.h"
#include "net/stream.h"

namespace flexpert::http {

class ServerConnection;

/// What a server and its connections share. Connections hold it, so that a handler may destroy the Server that called it.
struct ServerState {
  ServerState(net::EventLoop& event_loop, ServerLimits server_limits, Server::Handler request_handler)
      : loop(event_loop), limits(server_limits), handler(std::move(request_handler)) {}

  net::EventLoop& loop;
  const ServerLimits limits;
  const Server::Handler handler;
  std::unordered_map<std::uint64_t, std::shared_ptr<ServerConnection>> connections;
  std::size_t active_exchanges = 0;
  bool draining = false;
  std::function<void()> on_change;  ///< a connection has gone, or has less to do than before
};

/// The connection's side of a Responder. Its connection forgets it when the answer is over or the client has gone.
class Responder::Exchange : public std::enable_shared_from_this<Responder::Exchange> {
 public:
  explicit Exchange(ServerConnection* connection) : connection_(connection) {}
  /// Answers 500, or cuts a streamed answer, if nobody has ended it.
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

 private:
  friend class Responder;
  friend class ServerConnection;
  ServerConnection* connection_;  ///< null: over or gone
  bool started_ = false;
  bool gone_ = false;
  std::move_only_function<void()> on_disconnect_;
};

/// One client's connection: parses requests, hands them out one at a time, sends the answers in order.
class ServerConnection final : public net::StreamHandler, public std::enable_shared_from_this<ServerConnection> {
 public:
  ServerConnection(std::shared_ptr<ServerState> state, std::uint64_t id, net::UniqueFd fd);
  ~ServerConnection() override;

  // For the Responder, through the exchange that is current.
  void respond(Response response);
  void start(int status, const Headers& headers);
  void write(std::string_view chunk);
  void finish();
  void abort();
  [[nodiscard]] std::size_t buffered_bytes() const { return stream_.buffered_bytes(); }

  // For the server.
  /// Tells whether nothing is in progress: no request begun, no answer owed or on its way out.
  [[nodiscard]] bool settled() const;
  /// Closes without telling anybody but the exchange's gone().
  void close();

 private:
  enum class Phase { kIdle, kHead, kBody, kAnswering, kLingering };

  void on_bytes(std::string_view bytes) override;
  void on_drained() override;
  void on_closed(const Error* error) override;
  void on_timeout();

  void process(std::string_view input);
  void resume();
  bool take_head();
  void dispatch();
  void refuse(int status, std::string_view message);
  void send_whole(const Response& response, bool keep_alive);
  [[nodiscard]] std::string head_of(int status, const Headers& headers, bool keep_alive) const;
  void end_exchange(bool keep_alive);
  void lose_client();
  void linger();
  void set_phase(Phase phase);

  const std::shared_ptr<ServerState> state_;
  const std::uint64_t id_;
  const std::string peer_;
  net::Stream stream_;
  net::DeadlineTimer timer_;
  codec::Http1RequestParser parser_;
  std::string body_;
  std::string pending_;  ///< received behind the request that is being answered
  Responder::Exchange* exchange_ = nullptr;
  Phase phase_ = Phase::kIdle;
  bool processing_ = false;
  bool continue_owed_ = false;
  // The request that is being answered:
  bool answers_head_ = false;
  bool client_is_1_0_ = false;
  bool client_keeps_alive_ = true;
  bool answer_keeps_alive_ = true;
  bool answer_has_no_body_ = false;
};

}  // namespace flexpert::http
