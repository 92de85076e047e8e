#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "codec/fleet_json.h"
#include "http/client.h"
#include "integration/running_program.h"
#include "net/address.h"
#include "workload/answer_stream.h"

namespace flexpert::integration {

/// A folder of the test's own, removed with its content.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }
  /// Writes a file into the folder and returns its path.
  [[nodiscard]] std::string write(const std::string& name, const std::string& text) const;

 private:
  std::string path_;
};

struct FleetSettings {
  std::uint32_t min_servers = 2;
  std::uint32_t max_servers = 4;
  double pace_rows_per_s = 0;
  double replica_capacity_rows_per_s = 1e9;
  std::string level_of_c = "high";           ///< of group C; at "standard" nobody is restricted
  std::string placement = "{}";             ///< model.placement, as YAML on one line
  std::vector<std::string> more_arguments;  ///< of `up`
};

/// `flexpert up` with the shipped model, on ports that the kernel picks, as its own process.
class TestFleet {
 public:
  /// Starts it and waits until it says that it is ready; ready() tells whether it did.
  explicit TestFleet(const FleetSettings& settings = {});

  [[nodiscard]] bool ready() const { return ready_; }
  [[nodiscard]] net::EventLoop& loop() { return loop_; }
  [[nodiscard]] RunningProgram& program() { return *program_; }
  [[nodiscard]] const net::Address& gateway() const { return gateway_; }
  /// Where the gateway's probes and metrics are.
  [[nodiscard]] const net::Address& probes() const { return probes_; }
  [[nodiscard]] const net::Address& controller() const { return controller_; }
  [[nodiscard]] const std::string& config_path() const { return config_path_; }
  /// Makes the default runtime folder lie in the test's folder.
  [[nodiscard]] std::vector<std::string> environment() const { return {"XDG_RUNTIME_DIR=" + folder_.path()}; }
  [[nodiscard]] const std::string& folder() const { return folder_.path(); }

  [[nodiscard]] http::Response get(const net::Address& address, const std::string& target) const;
  /// Sends a request without a body to any address.
  [[nodiscard]] http::Response ask(const net::Address& address, const std::string& method, const std::string& target) const;
  [[nodiscard]] http::Response post(const std::string& target, const std::string& body, const std::string& access_token = {}) const;
  [[nodiscard]] FleetSnapshot snapshot() const;
  [[nodiscard]] std::vector<Decision> decisions() const;
  /// Process ids of all instances that run now.
  [[nodiscard]] std::vector<int> instance_pids() const;
  /// Returns the pid of an expert server that serves; 0 if there is none.
  [[nodiscard]] int an_expert_server_pid() const;

 private:
  TemporaryFolder folder_;
  net::EventLoop loop_;
  std::string config_path_;
  std::unique_ptr<RunningProgram> program_;
  net::Address gateway_;
  net::Address probes_;
  net::Address controller_;
  bool ready_ = false;
};

/// A streamed chat that is under way.
class StreamedChat {
 public:
  StreamedChat(net::EventLoop& loop, const net::Address& gateway, const std::string& body);
  /// Waits until so many pieces of text have come, or it ended.
  bool wait_for_pieces(std::size_t count, Duration deadline);
  bool wait_for_end(Duration deadline);
  /// Returns what is wrong with the answer; empty if it is whole.
  [[nodiscard]] std::string problem() const;
  [[nodiscard]] const std::string& text() const { return stream_.text(); }
  [[nodiscard]] bool ended() const { return ended_; }

 private:
  net::EventLoop& loop_;
  http::Client client_;
  workload::AnswerStream stream_;
  std::size_t pieces_ = 0;
  int status_ = 0;
  std::string error_;
  bool ended_ = false;
};

/// The body of a greedy chat of one user turn.
std::string chat_body(const std::string& prompt, std::uint32_t max_tokens, bool stream, bool ignore_eos = false);
/// Returns choices[0].message.content of a chat answer, or the whole body if it has none.
std::string content_of(const http::Response& response);
std::string read_file(const std::string& path);

}  // namespace flexpert::integration
