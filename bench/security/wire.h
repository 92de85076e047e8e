#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// Blocking sockets for an attacker's side: bytes out, whatever comes back in.
namespace flexpert::bench::security {

using Millis = std::chrono::milliseconds;

/// One answer as it came.
struct WireAnswer {
  int status = 0;
  std::string head;
  std::string body;  ///< framing removed
  [[nodiscard]] std::string field(std::string_view name) const;
};

/// What came back on a connection until it closed, fell silent, or `enough` answers were there.
struct WireOutcome {
  std::vector<WireAnswer> answers;
  bool closed = false;     ///< by the other side
  std::string rest;        ///< bytes that are no whole answer
  /// Status of the first answer; 0: none came.
  [[nodiscard]] int status() const { return answers.empty() ? 0 : answers.front().status; }
};

/// One TCP connection to 127.0.0.1.
class Wire {
 public:
  explicit Wire(std::uint16_t port);
  ~Wire();
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  [[nodiscard]] bool open() const { return fd_ >= 0; }
  /// False when the other side does not take it any more.
  bool send(std::string_view bytes);
  /// Reads until `enough` answers are whole, the other side closes, or nothing came for `silence`.
  WireOutcome receive(std::size_t enough = 1, Millis silence = Millis(3000));
  /// The next answers have no bodies, whatever their fields say: they answer HEAD.
  void expect_heads() { heads_ = true; }
  void shut_sending();
  void close();

 private:
  int fd_ = -1;
  bool heads_ = false;
  std::string buffer_;
};

/// Sends bytes on a fresh connection and reads what comes.
WireOutcome attack(std::uint16_t port, std::string_view bytes, std::size_t enough = 1, Millis silence = Millis(3000));

/// Takes whole answers off the front of `bytes`. `heads`: they answer HEAD and have no bodies.
std::vector<WireAnswer> take_answers(std::string& bytes, bool closed, bool heads);

/// Returns the value of a header field in a head, without case; empty if there is none.
std::string field_of(std::string_view head, std::string_view name);
/// Tells how many fields of that name a head has.
int count_fields(std::string_view head, std::string_view name);

}  // namespace flexpert::bench::security
