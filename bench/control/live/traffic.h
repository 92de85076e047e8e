#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/rng.h"
#include "http/client.h"
#include "net/address.h"
#include "net/event_loop.h"
#include "workload/answer_stream.h"

namespace flexpert::bench {

/// Traffic goes in a straight line from one rate to another.
struct TrafficLeg {
  double seconds = 0;
  double from_per_s = 0;
  double to_per_s = 0;
};

/// How one request fared.
struct RequestOutcome {
  double ttft_s = 0;
  double mean_itl_s = 0;
  std::uint64_t tokens = 0;
  std::string problem;  ///< empty: whole
};

/// Streamed chats at times of their own (open loop, Poisson), or so many in flight all the time (closed loop), each measured.
/// Belongs to the loop's thread.
class Traffic {
 public:
  Traffic(net::EventLoop& loop, net::Address gateway, std::string model, std::uint64_t seed);
  ~Traffic();

  void open_loop(const std::vector<TrafficLeg>& legs);
  void closed_loop(std::size_t in_flight);
  /// Sends nothing more; answers under way go on.
  void stop();
  [[nodiscard]] bool sending() const { return sending_; }
  [[nodiscard]] std::size_t under_way() const { return streams_.size(); }
  [[nodiscard]] const std::vector<RequestOutcome>& outcomes() const { return outcomes_; }
  [[nodiscard]] std::size_t failed() const;
  [[nodiscard]] std::uint64_t tokens() const { return tokens_; }

 private:
  struct Stream {
    workload::AnswerStream answer;
    int status = 0;
    TimePoint sent{};
    TimePoint first{};
    TimePoint last{};
    std::uint64_t pieces = 0;
  };
  void schedule();
  void fill();
  void send();
  void over(std::uint64_t key, const std::string& error);

  net::EventLoop& loop_;
  net::Address gateway_;
  std::string model_;
  Rng rng_;
  http::Client client_;
  std::vector<double> arrivals_s_;
  std::size_t next_ = 0;
  std::size_t closed_in_flight_ = 0;
  TimePoint start_{};
  net::TimerId timer_ = 0;
  bool sending_ = false;
  std::uint64_t last_key_ = 0;
  std::map<std::uint64_t, Stream> streams_;
  std::vector<RequestOutcome> outcomes_;
  std::uint64_t tokens_ = 0;
};

}  // namespace flexpert::bench
