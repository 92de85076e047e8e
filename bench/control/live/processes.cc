#include "live/processes.h"

#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "http/client.h"
#include "net/socket.h"

namespace flexpert::bench {

namespace json = boost::json;

Result<void> run_until(net::EventLoop& loop, const std::function<bool()>& condition, Duration deadline, const std::string& what) {
  const SystemClock clock;
  const TimePoint end = clock.now() + deadline;
  while (!condition()) {
    if (clock.now() > end) return fail(ErrorCode::kDeadlineExceeded, "waited {:.0f} s in vain for {}", to_seconds(deadline), what);
    loop.run_once(Milliseconds(10));
  }
  return {};
}

void run_for(net::EventLoop& loop, Duration time) {
  const SystemClock clock;
  const TimePoint end = clock.now() + time;
  while (clock.now() < end) loop.run_once(Milliseconds(10));
}

WorkFolder::WorkFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "flexpert-live-XXXXXX").string();
  if (::mkdtemp(pattern.data()) != nullptr) path_ = pattern;
}

WorkFolder::~WorkFolder() {
  std::error_code error;
  if (!path_.empty()) std::filesystem::remove_all(path_, error);
}

std::string WorkFolder::write(const std::string& name, const std::string& text) const {
  const std::string path = path_ + "/" + name;
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

Result<std::unique_ptr<LiveProcess>> LiveProcess::start(net::EventLoop& loop, std::vector<std::string> argv, std::vector<std::string> environment) {
  std::unique_ptr<LiveProcess> process(new LiveProcess(loop));
  net::ChildProcessOptions options;
  options.argv = std::move(argv);
  options.extra_environment = std::move(environment);
  options.on_line = [self = process.get()](std::string_view line) { self->lines_.emplace_back(line); };
  FLEXPERT_ASSIGN(process->child_, net::ChildProcess::spawn(loop, std::move(options), [self = process.get()](net::ExitStatus) { self->ended_ = true; }));
  return process;
}

Result<std::string> LiveProcess::wait_for_line(const std::string& text, Duration deadline) {
  std::string found;
  std::size_t looked_at = 0;
  FLEXPERT_TRY(run_until(
      loop_,
      [&] {
        for (; looked_at < lines_.size() && found.empty(); ++looked_at)
          if (lines_[looked_at].find(text) != std::string::npos) found = lines_[looked_at];
        return !found.empty() || ended_;
      },
      deadline, text));
  if (found.empty()) return fail(ErrorCode::kUnavailable, "a process ended before \"{}\": {}", text, lines_.empty() ? "" : lines_.back());
  return found;
}

Result<void> LiveProcess::end(int signal, Duration deadline) {
  if (!ended_) child_->signal(signal);
  return run_until(loop_, [this] { return ended_; }, deadline, "a process to end");
}

Result<json::value> ask(const net::Address& address, const std::string& method, const std::string& target, const std::string& body) {
  http::Request request;
  request.method = method;
  request.target = target;
  request.body = body;
  FLEXPERT_ASSIGN(const http::Response response, http::fetch(address, std::move(request), Seconds(10)));
  json::error_code error;
  json::value value = json::parse(response.body, error);
  if (error || response.status >= 400) return fail(ErrorCode::kUnavailable, "{} {}: {}: {}", method, target, response.status, response.body.substr(0, 300));
  return value;
}

std::string word_after(const std::string& line, const std::string& label) {
  const std::size_t at = line.find(label);
  if (at == std::string::npos) return {};
  const std::size_t begin = at + label.size();
  return line.substr(begin, line.find(' ', begin) - begin);
}

Result<std::uint16_t> free_port() {
  const net::Address any{.is_unix = false, .host_or_path = "127.0.0.1", .port = 0};
  FLEXPERT_ASSIGN(const net::UniqueFd socket, net::listen_on(any));
  FLEXPERT_ASSIGN(const net::Address bound, net::bound_address(socket.get(), any));
  return bound.port;
}

}  // namespace flexpert::bench
