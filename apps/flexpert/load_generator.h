#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "http/client.h"
#include "net/address.h"
#include "net/event_loop.h"
#include "workload/answer_stream.h"
#include "workload/arrivals.h"
#include "workload/load_record.h"

namespace flexpert::app {

struct LoadTarget {
  net::Address address;
  std::string model;
};

struct LoadSettings {
  double temperature = 0.7;
  std::uint32_t max_in_flight = 256;
  Duration request_timeout = Seconds(120);
};

/// Sends planned requests to an OpenAI-compatible server at their own times, whatever the server does (open loop), reads
/// the streamed answers and measures them. TTFT counts from the planned time. Belongs to the loop's thread.
class LoadGenerator {
 public:
  LoadGenerator(net::EventLoop& loop, LoadTarget target, std::vector<workload::Phase> phases, std::vector<workload::PromptSet> sets,
                std::vector<workload::Arrival> arrivals, LoadSettings settings);
  ~LoadGenerator();

  /// Starts now; calls `done` when the last phase is over and the last answer has ended.
  void start(std::function<void()> done);
  /// Sends nothing more; `done` follows once the answers in flight have ended.
  void stop_sending();

  [[nodiscard]] const workload::LoadRecord& record() const { return record_; }
  [[nodiscard]] const std::vector<workload::Phase>& phases() const { return phases_; }
  /// Seconds since start().
  [[nodiscard]] double elapsed_s() const;
  /// Index of the phase that runs now; the number of phases once all are over.
  [[nodiscard]] std::uint32_t current_phase() const;
  [[nodiscard]] std::size_t in_flight() const { return in_flight_.size(); }
  [[nodiscard]] std::uint64_t sent() const { return sent_; }

 private:
  struct InFlight;

  void send_due();
  void send(const workload::Arrival& arrival);
  void on_head(std::uint64_t key, int status);
  void on_body(std::uint64_t key, std::string_view bytes);
  void on_end(std::uint64_t key);
  void finish(std::uint64_t key, std::string failure);
  void finish_if_done();
  [[nodiscard]] std::string body_of(const workload::Arrival& arrival) const;

  net::EventLoop& loop_;
  LoadTarget target_;
  std::vector<workload::Phase> phases_;
  std::vector<workload::PromptSet> sets_;
  std::vector<workload::Arrival> arrivals_;
  LoadSettings settings_;
  http::Client client_;
  TimePoint start_{};
  std::size_t next_ = 0;
  std::uint64_t sent_ = 0;
  bool phases_over_ = false;
  net::TimerId timer_ = 0;
  std::uint64_t last_key_ = 0;
  std::map<std::uint64_t, std::unique_ptr<InFlight>> in_flight_;
  workload::LoadRecord record_;
  std::function<void()> done_;
};

/// Parses "http://HOST:PORT" (a path after it is not allowed).
Result<net::Address> parse_base_url(std::string_view url);
/// Asks GET /v1/models for the first model.
Result<std::string> first_model_of(const net::Address& address);

}  // namespace flexpert::app
