#include "rig/background_load.h"

#include "rig/backend.h"
#include "rig/requests.h"

namespace flexpert::bench {
namespace {

constexpr std::int64_t kSliceNs = 200'000'000;

void add(LoadResult& sum, LoadResult&& slice) {
  sum.completed += slice.completed;
  sum.resent += slice.resent;
  sum.events += slice.events;
  if (sum.failed == 0) sum.first_failure = slice.first_failure;
  sum.failed += slice.failed;
  sum.seconds += slice.seconds;
}

}  // namespace

BackgroundLoad::BackgroundLoad(std::uint16_t port, const std::string& api_key, std::size_t whole, std::size_t streams) {
  const auto run = [this, port, api_key](std::size_t connections, bool stream, LoadResult& sum) {
    threads_.emplace_back([this, port, api_key, connections, stream, &sum] {
      const std::string request = chat_request({.body_bytes = 400, .stream = stream, .api_key = api_key});
      Load load(port, connections);
      while (!stopping_) add(sum, load.closed_loop_until(request, monotonic_ns() + kSliceNs));
    });
  };
  run(whole, false, results_.whole);
  run(streams, true, results_.streams);
}

BackgroundLoad::~BackgroundLoad() { stop(); }

BackgroundLoad::Results BackgroundLoad::stop() {
  stopping_ = true;
  for (std::thread& thread : threads_)
    if (thread.joinable()) thread.join();
  return results_;
}

}  // namespace flexpert::bench
