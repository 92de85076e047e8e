#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <boost/json.hpp>

#include "base/result.h"
#include "controller/server_rows.h"
#include "fleet/routing_table.h"
#include "http/client.h"
#include "net/child_process.h"
#include "net/event_loop.h"
#include "workload/answer_stream.h"

namespace flexpert::bench {

/// `flexpert up` as a process of its own, on ports that the kernel picks. Belongs to the loop's thread.
class LiveFleet {
 public:
  /// Starts it from the text of a configuration and waits until it is ready.
  static Result<std::unique_ptr<LiveFleet>> start(net::EventLoop& loop, const std::string& program, const std::string& folder,
                                                  const std::string& config);
  /// Asks it to stop and waits for its end.
  Result<void> stop();

  [[nodiscard]] const net::Address& gateway() const { return gateway_; }
  /// Sends a request to the controller; returns the body of a 200 or 409.
  Result<boost::json::value> ask(const std::string& method, const std::string& target) const;
  Result<std::string> metrics() const;
  /// Returns the table that the first model server works by.
  Result<RoutingTable> table_in_force() const;
  /// Returns the rows per slot that every server of `table` has computed since it started.
  Result<std::map<InstanceId, std::map<ExpertSlot, std::uint64_t>>> rows(const RoutingTable& table, controller::ServerRows& asker);

 private:
  explicit LiveFleet(net::EventLoop& loop) : loop_(loop) {}

  net::EventLoop& loop_;
  std::unique_ptr<net::ChildProcess> process_;
  std::vector<std::string> lines_;
  bool ended_ = false;
  net::Address gateway_;
  net::Address controller_;
  net::Address model_server_;
};

/// One chat whose answer is known to depend on nothing but itself.
struct Chat {
  std::string prompt;
  double temperature = 0;
  std::uint64_t seed = 0;
  std::uint32_t max_tokens = 48;
};

/// Keeps a number of streamed chats under way, taken in turn from a list that can be changed. Belongs to the loop's thread.
class ChatLoad {
 public:
  ChatLoad(net::EventLoop& loop, net::Address gateway, std::size_t in_flight);

  /// Sends the chats of `numbers` from now on, over and over or (`once`) each once.
  void use(const std::vector<Chat>& chats, std::vector<std::size_t> numbers, bool once);
  void stop() { numbers_.clear(); }
  [[nodiscard]] std::size_t under_way() const { return streams_.size(); }
  [[nodiscard]] std::size_t ended() const { return ended_; }
  [[nodiscard]] const std::vector<std::string>& problems() const { return problems_; }
  /// Texts of the whole answers, by the number of their chat.
  [[nodiscard]] const std::vector<std::pair<std::size_t, std::string>>& answers() const { return answers_; }

 private:
  struct Stream {
    std::size_t number = 0;
    int status = 0;
    workload::AnswerStream answer;
  };
  void send_some();
  void over(std::uint64_t key, const std::string& error);

  net::EventLoop& loop_;
  net::Address gateway_;
  std::size_t in_flight_;
  http::Client client_;
  const std::vector<Chat>* chats_ = nullptr;
  std::vector<std::size_t> numbers_;
  std::size_t next_ = 0;
  bool once_ = false;
  std::uint64_t last_key_ = 0;
  std::map<std::uint64_t, Stream> streams_;
  std::size_t ended_ = 0;
  std::vector<std::string> problems_;
  std::vector<std::pair<std::size_t, std::string>> answers_;
};

}  // namespace flexpert::bench
