#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace flexpert::bench::security {

/// One request as it reached the backend.
struct Seen {
  std::string head;  ///< request line and fields, each with CRLF
  std::string body;
  [[nodiscard]] std::string field(std::string_view name) const;
  [[nodiscard]] std::string line() const { return head.substr(0, head.find("\r\n")); }
};

/// Bytes that a backend answers with instead of an answer of its own.
struct Said {
  std::string bytes;
  enum class Then { kGoesOn, kEnds, kResets } then = Then::kGoesOn;
};

/// An OpenAI-shaped server that writes down every byte that reaches it. It answers 200: a stream where the body asks for one, else a whole
/// answer that names how many requests came before. A body that contains "reply:STATUS" is answered so. One thread a connection.
class RecordingBackend {
 public:
  explicit RecordingBackend(std::vector<std::string> models);
  ~RecordingBackend();
  RecordingBackend(const RecordingBackend&) = delete;
  RecordingBackend& operator=(const RecordingBackend&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  /// Returns what came since the last call, probes (GET) left out.
  std::vector<Seen> take();
  /// From now on every POST is answered so; nullopt: as usual again.
  void say(std::optional<Said> said);
  /// Counts connections ever made.
  [[nodiscard]] int connections() const { return connections_; }
  /// Bytes that were no well-formed request (nothing of ours ever sends any).
  [[nodiscard]] std::string malformed() const;

 private:
  void accept_all();
  void serve(int fd);
  /// Returns whether the connection goes on.
  bool answer(int fd, const Seen& seen);

  std::vector<std::string> models_;
  int listening_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<int> connections_ = 0;
  std::atomic<int> answered_ = 0;
  std::atomic<bool> stopping_ = false;
  mutable std::mutex mutex_;
  std::vector<Seen> seen_;
  std::string malformed_;
  std::optional<Said> said_;
  std::set<int> open_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace flexpert::bench::security
