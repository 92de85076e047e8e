#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <queue>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "rig/backend.h"

namespace flexpert::bench {

/// What runs in the backend's process: one thread, edge-triggered epoll.
class BackendServer {
 public:
  BackendServer(BackendShared& shared, const std::vector<int>& listening);
  [[noreturn]] void run();

 private:
  struct Connection {
    int fd = -1;
    std::uint32_t generation = 0;
    std::string head;                ///< of a request, or of a request's first bytes, as long as it is not whole
    std::uint64_t body_left = 0;
    bool in_body = false;
    bool body_seen = false;          ///< its first bytes were looked at
    bool answering = false;
    bool streaming = false;
    bool begun = false;              ///< the answer's head was sent
    bool head_only = false;          ///< an answer to HEAD
    std::string_view path_kind;      ///< "chat", "health", "models"
    std::uint32_t number = 0;        ///< of a tracked request; 0 = none
    std::uint32_t sent_events = 0;
    std::uint32_t events = 0;
    std::uint32_t interval_us = 0;
    std::string out;                 ///< what the kernel did not take
    std::string pending;             ///< pipelined bytes behind the request that is answered
  };
  struct Due {
    std::int64_t at_ns;
    int fd;
    std::uint32_t generation;
    bool operator>(const Due& other) const { return at_ns > other.at_ns; }
  };

  void accept_from(int listening);
  void on_ready(int fd, std::uint32_t events);
  bool take(Connection& connection, std::string_view bytes);
  bool take_head(Connection& connection);
  void look_at_body(Connection& connection, std::string_view first_bytes);
  void answer(Connection& connection);
  void continue_answer(Connection& connection);
  void send_event(Connection& connection);
  void send_json(Connection& connection);
  void finish(Connection& connection);
  void send(Connection& connection, std::string_view bytes);
  void flush(Connection& connection);
  void lose(Connection& connection);
  void schedule(Connection& connection, std::int64_t at_ns) { due_.push({at_ns, connection.fd, connection.generation}); }

  BackendShared& shared_;
  std::vector<int> listening_;
  int epoll_ = -1;
  std::vector<std::unique_ptr<Connection>> connections_;  ///< by descriptor
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
  std::uint32_t generations_ = 0;
  std::string json_;           ///< the whole answer that is sent now
  std::uint32_t json_content_ = ~0u;
  std::string instant_;        ///< a stream that is sent at once
  std::uint32_t instant_events_ = ~0u;
  std::vector<char> buffer_;
  Rng rng_{2026};
};

}  // namespace flexpert::bench
