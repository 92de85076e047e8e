#include "rig/proxy.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "rig/sockets.h"

namespace flexpert::bench {
namespace {

/// Returns the first child of a process, or 0.
pid_t first_child(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/task/{}/children", pid, pid));
  pid_t child = 0;
  file >> child;
  return child;
}

std::string last_lines(const std::string& path) {
  std::ifstream file(path);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  return text.size() > 1000 ? text.substr(text.size() - 1000) : text;
}

}  // namespace

BenchFolder::BenchFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "flexpert-bench-XXXXXX").string();
  if (::mkdtemp(name.data()) != nullptr) path_ = name;
}

BenchFolder::~BenchFolder() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}

std::string BenchFolder::write(const std::string& name, const std::string& text) const {
  const std::string path = (path_ / name).string();
  std::ofstream(path) << text;
  return path;
}

Result<std::unique_ptr<Proxy>> Proxy::start(std::string name, const std::vector<std::string>& arguments, const std::string& log_file,
                                            std::uint16_t port, int core, bool worker, int shared_fd) {
  std::unique_ptr<Proxy> proxy(new Proxy);
  proxy->name_ = std::move(name);
  proxy->port_ = port;
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  proxy->pid_ = ::fork();
  if (proxy->pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (core >= 0) pin_to_core(core);
    raise_descriptor_limit();
    const int log = ::open(log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(log, 1);
    ::dup2(log, 2);
    if (shared_fd >= 0) ::dup2(shared_fd, 3);
    ::execvp(argv[0], argv.data());
    ::_exit(127);
  }
  if (!wait_for_port(port, 10)) {
    return fail(ErrorCode::kUnavailable, "{} does not accept on port {} within 10 s; is it installed (scripts/install-packages bench)? Its output: {}",
                proxy->name_, port, last_lines(log_file));
  }
  const pid_t measured = worker ? first_child(proxy->pid_) : proxy->pid_;
  FLEXPERT_ASSIGN(ProcessWatch watch, ProcessWatch::attach(measured));
  proxy->watch_ = std::make_unique<ProcessWatch>(std::move(watch));
  return proxy;
}

Proxy::~Proxy() { stop(); }

void Proxy::signal(int number) const {
  if (pid_ > 0) ::kill(pid_, number);
}

bool Proxy::ended() {
  if (pid_ > 0 && ::waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = -1;
  return pid_ <= 0;
}

int Proxy::stop() {
  if (pid_ <= 0) return 0;
  ::kill(pid_, SIGTERM);
  int status = 0;
  for (int i = 0; i < 500; ++i) {
    if (::waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    ::poll(nullptr, 0, 10);
  }
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
  return -1;
}

Result<std::string> get(std::uint16_t port, const std::string& path) {
  const int fd = connect_locally(port);
  if (fd < 0) return fail(ErrorCode::kUnavailable, "cannot connect to port {}", port);
  const std::string request = fmt::format("GET {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\r\n", path, port);
  bool sent = false;
  Result<std::string> outcome = fail(ErrorCode::kUnavailable, "no answer from port {}{}", port, path);
  std::string all;
  for (pollfd ready{.fd = fd, .events = POLLOUT, .revents = 0}; ::poll(&ready, 1, 5000) == 1;) {
    if (!sent) {
      if (::send(fd, request.data(), request.size(), MSG_NOSIGNAL) < 0) break;
      sent = true;
      ready.events = POLLIN;
      continue;
    }
    char buffer[65536];
    const ssize_t count = ::recv(fd, buffer, sizeof buffer, 0);
    if (count < 0 && errno == EAGAIN) continue;
    if (count <= 0) break;
    all.append(buffer, static_cast<std::size_t>(count));
  }
  ::close(fd);
  const std::size_t end = all.find("\r\n\r\n");
  if (end == std::string::npos) return outcome;
  if (!all.starts_with("HTTP/1.1 200")) return fail(ErrorCode::kUnavailable, "port {}{} answered {}", port, path, all.substr(0, all.find('\r')));
  return all.substr(end + 4);
}

}  // namespace flexpert::bench
