#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/json.hpp>

#include "base/result.h"
#include "net/address.h"
#include "net/child_process.h"
#include "net/event_loop.h"

namespace flexpert::bench {

/// Runs the loop until `condition` holds. Errors: kDeadlineExceeded, naming `what`.
Result<void> run_until(net::EventLoop& loop, const std::function<bool()>& condition, Duration deadline, const std::string& what);
/// Lets real time pass while the loop works.
void run_for(net::EventLoop& loop, Duration time);

/// A folder that is removed with everything in it.
class WorkFolder {
 public:
  WorkFolder();
  ~WorkFolder();
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }
  /// Writes a file and returns its path.
  [[nodiscard]] std::string write(const std::string& name, const std::string& text) const;

 private:
  std::string path_;
};

/// A program that runs beside the measurement; its output is kept. It is killed when this object goes.
class LiveProcess {
 public:
  static Result<std::unique_ptr<LiveProcess>> start(net::EventLoop& loop, std::vector<std::string> argv, std::vector<std::string> environment = {});
  /// Waits for a line that contains `text`, and returns it. Errors: it ended, or there was none in time.
  Result<std::string> wait_for_line(const std::string& text, Duration deadline);
  /// Sends a signal and waits for the end.
  Result<void> end(int signal, Duration deadline = Seconds(40));
  void signal(int number) { child_->signal(number); }
  [[nodiscard]] bool ended() const { return ended_; }
  [[nodiscard]] const std::vector<std::string>& lines() const { return lines_; }

 private:
  explicit LiveProcess(net::EventLoop& loop) : loop_(loop) {}
  net::EventLoop& loop_;
  std::vector<std::string> lines_;
  bool ended_ = false;
  std::unique_ptr<net::ChildProcess> child_;
};

/// Sends one request with a JSON answer. Errors: no answer, no JSON, a status of 400 and above (with its message).
Result<boost::json::value> ask(const net::Address& address, const std::string& method, const std::string& target, const std::string& body = {});

/// Returns the word that follows `label` in a line.
std::string word_after(const std::string& line, const std::string& label);
/// Finds a TCP port of loopback that nobody uses now.
Result<std::uint16_t> free_port();

}  // namespace flexpert::bench
