#include "rig/backend.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <new>

#include "rig/backend_server.h"
#include "rig/process_cost.h"
#include "rig/sockets.h"

namespace flexpert::bench {
namespace {

/// A child that does not execute another program has all our descriptors: a client's connection must not stay open in it.
void close_others(std::vector<int> kept) {
  std::sort(kept.begin(), kept.end());
  unsigned from = 3;
  for (const int fd : kept) {
    if (static_cast<unsigned>(fd) > from) ::close_range(from, static_cast<unsigned>(fd) - 1, 0);
    from = static_cast<unsigned>(fd) + 1;
  }
  ::close_range(from, ~0u, 0);
}

}  // namespace

std::int64_t monotonic_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

Result<std::unique_ptr<Backend>> Backend::start(std::size_t ports, int core) {
  std::unique_ptr<Backend> backend(new Backend);
  backend->core_ = core;
  backend->ports_.assign(ports, 0);
  void* memory = ::mmap(nullptr, sizeof(BackendShared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return fail(ErrorCode::kResourceExhausted, "no shared memory: {}", std::strerror(errno));
  backend->shared_ = new (memory) BackendShared;
  FLEXPERT_TRY(backend->spawn());
  return backend;
}

Backend::~Backend() {
  kill();
  if (shared_ != nullptr) ::munmap(shared_, sizeof(BackendShared));
}

void Backend::kill() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
  shared_->counts.open_requests = 0;
  shared_->counts.open_connections = 0;
}

Result<void> Backend::restart() {
  kill();
  return spawn();
}

Result<void> Backend::spawn() {
  std::vector<int> listening;
  for (std::uint16_t& port : ports_) {
    const int fd = listen_locally(port);
    if (fd < 0) return fail(ErrorCode::kUnavailable, "the backend cannot listen on port {}: {}", port, std::strerror(errno));
    port = port_of(fd);
    listening.push_back(fd);
  }
  pid_ = ::fork();
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::signal(SIGPIPE, SIG_IGN);
    if (core_ >= 0) pin_to_core(core_);
    raise_descriptor_limit();
    close_others(listening);
    BackendServer(*shared_, listening).run();
  }
  for (const int fd : listening) ::close(fd);
  if (pid_ < 0) return fail(ErrorCode::kResourceExhausted, "no process for the backend: {}", std::strerror(errno));
  return {};
}

}  // namespace flexpert::bench
