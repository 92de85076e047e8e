#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "rig/load.h"

namespace flexpert::bench {

/// Load in threads of its own, for as long as something else is done: whole answers and streams at once, on kept connections.
class BackgroundLoad {
 public:
  BackgroundLoad(std::uint16_t port, const std::string& api_key, std::size_t whole, std::size_t streams);
  ~BackgroundLoad();
  /// Lets what is in flight end. First whole answers, then streams.
  struct Results {
    LoadResult whole;
    LoadResult streams;
  };
  Results stop();

 private:
  std::atomic<bool> stopping_{false};
  Results results_;
  std::vector<std::thread> threads_;
};

}  // namespace flexpert::bench
