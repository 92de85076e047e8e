#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/rng.h"
#include "rig/answer_reader.h"

namespace flexpert::bench {

/// What clients that go away saw, and when they went.
struct AbortResult {
  std::uint64_t aborted = 0;
  std::uint64_t finished = 0;           ///< whole answers: the client was slower than the answer
  std::uint64_t told = 0;               ///< refused or broken off with an error that says so (an upstream was killed)
  std::uint64_t cut = 0;                ///< the connection broke without a word
  std::uint64_t silent_truncations = 0; ///< an answer that looks whole and is not: never allowed
  std::vector<std::int64_t> left_at_ns{};  ///< by request number; 0 = it did not leave
};

/// Clients that leave: each opens a connection, sends a chat request (streamed or not), and goes at a random moment, in the
/// middle of its request, before the answer or in it, by closing or by a reset.
class AbortLoad {
 public:
  AbortLoad(std::uint16_t port, std::string api_key, std::size_t clients, std::uint64_t seed);
  ~AbortLoad();
  /// Sends requests number 1 to `count`. `every_ms` is called about every millisecond with how many have begun.
  AbortResult run(std::uint32_t count, const std::function<void(std::uint32_t)>& every_ms);

 private:
  struct Client;
  void begin(Client& client);
  void leave(Client& client);
  void read(Client& client);
  void over(Client& client);
  void judge(const Client& client, bool closed);

  std::uint16_t port_;
  std::string api_key_;
  Rng rng_;
  int epoll_ = -1;
  std::vector<std::unique_ptr<Client>> clients_;
  std::uint32_t begun_ = 0;
  std::uint32_t wanted_ = 0;
  std::size_t busy_ = 0;
  AbortResult result_;
  std::vector<char> buffer_;
};

}  // namespace flexpert::bench
