#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "engine/expert/remote_experts.h"
#include "engine/model/engine.h"
#include "net/event_loop.h"

namespace flexpert::bench {

/// One request of a measurement, and what came of it.
struct Job {
  std::vector<engine::TokenId> prompt;
  std::uint32_t max_tokens = 64;
  float temperature = 0;
  std::uint64_t seed = 0;

  std::vector<engine::TokenId> tokens{};
  std::string text{};
  std::string failure{};             ///< empty = it came to its end
  std::vector<TimePoint> times{};    ///< of each token
};

/// A golden prompt of the model: its token ids and the 64 tokens that follow at temperature 0.
struct GoldenPrompt {
  std::vector<engine::TokenId> ids;
  std::vector<engine::TokenId> greedy;
};
Result<std::vector<GoldenPrompt>> load_golden_prompts(const std::string& model_folder);

/// The real engine in this process, with its experts computed here or by servers.
class EngineRig {
 public:
  struct Options {
    std::uint32_t threads = 1;
    bool remote = false;
    std::uint32_t max_batch = 16;
  };
  static Result<std::unique_ptr<EngineRig>> start(net::EventLoop& loop, const std::string& model_folder, const std::string& pack_path,
                                                  Options options);
  ~EngineRig();

  /// Submits all jobs, at most `in_flight` at once, and runs the loop until all have ended (or fails after `deadline`).
  /// `on_progress(tokens)` is called on this thread with the tokens generated so far by this call.
  Result<void> run(std::vector<Job>& jobs, std::size_t in_flight, Duration deadline,
                   const std::function<void(std::uint64_t)>& on_progress = {});
  /// Sets the table between two steps and waits for it; returns how long that took in ms. Only with `remote`.
  Result<double> set_table(RoutingTable table);
  /// The same without waiting.
  void set_table_soon(RoutingTable table);
  /// Waits until every server of the table is connected.
  Result<void> connect(RoutingTable table);
  [[nodiscard]] ExpertGeometry geometry() const { return pack_->geometry(); }
  /// Reads one metric; 0 when it is not there.
  [[nodiscard]] double metric(const std::string& name) const;
  /// Returns the upper bound of the bucket below which the share `q` of a histogram's samples lies; 0 without samples.
  [[nodiscard]] double histogram_quantile(const std::string& name, double q) const;
  /// How many changes of the table were refused.
  [[nodiscard]] std::uint64_t refused_tables() const { return refused_tables_; }

 private:
  class Sink;
  EngineRig(net::EventLoop& loop, std::shared_ptr<const engine::PackFile> pack, std::uint32_t threads);

  net::EventLoop& loop_;
  SystemClock clock_;
  telemetry::Registry metrics_;
  std::shared_ptr<const engine::PackFile> pack_;
  engine::ComputePool pool_;
  std::unique_ptr<engine::ExpertExecutor> executor_;
  engine::RemoteExperts* remote_ = nullptr;
  std::unique_ptr<engine::Engine> engine_;
  std::atomic<std::uint64_t> tokens_{0};
  std::atomic<std::uint64_t> refused_tables_{0};
  std::size_t finished_ = 0;
  std::uint64_t next_id_ = 0;
};

/// Tells whether two runs of the same jobs gave the same tokens and text; counts those that did.
std::size_t count_identical(const std::vector<Job>& a, const std::vector<Job>& b);
std::size_t count_failed(const std::vector<Job>& jobs);
/// Gaps in ms between the tokens of each job.
std::vector<double> token_gaps_ms(const std::vector<Job>& jobs);

/// Makes `count` jobs that take the prompts in turn, alternately greedy and at temperature 0.8 with the job's number as seed.
std::vector<Job> make_jobs(const std::vector<GoldenPrompt>& prompts, std::size_t count, std::uint32_t tokens);

}  // namespace flexpert::bench
