#include "engine_rig.h"

#include <algorithm>
#include <fstream>
#include <future>
#include <iterator>

#include <boost/json.hpp>

#include "expert_fleet.h"

namespace flexpert::bench {

Result<std::vector<GoldenPrompt>> load_golden_prompts(const std::string& model_folder) {
  const std::string path = model_folder + "/goldens/golden_generate.json";
  std::ifstream file(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  boost::system::error_code error;
  const boost::json::value root = boost::json::parse(text, error);
  if (error) return fail(ErrorCode::kInvalidArgument, "cannot read golden prompts: {}: {}", path, error.message());
  std::vector<GoldenPrompt> prompts;
  const auto ids_of = [](const boost::json::value& list) {
    std::vector<engine::TokenId> ids;
    for (const auto& id : list.as_array()) ids.push_back(static_cast<engine::TokenId>(id.to_number<std::int64_t>()));
    return ids;
  };
  try {
    for (const auto& one : root.at("cases").as_array()) prompts.push_back({ids_of(one.at("prompt_ids")), ids_of(one.at("greedy_ids"))});
  } catch (const std::exception& wrong) {
    return fail(ErrorCode::kInvalidArgument, "golden prompts of another form: {}: {}", path, wrong.what());
  }
  return prompts;
}

/// Gathers on the engine thread, hands over on the loop's.
class EngineRig::Sink final : public engine::GenerationSink {
 public:
  Sink(EngineRig& rig, Job& job) : rig_(rig), job_(job) {}

  void on_token(const engine::GeneratedToken& token) override {
    job_.tokens.push_back(token.token);
    job_.text += token.text;
    job_.times.push_back(rig_.clock_.now());
    rig_.tokens_.fetch_add(1, std::memory_order_relaxed);
  }
  void on_finish(engine::FinishReason reason, std::string text, engine::GenerationUsage, const std::optional<Error>& error) override {
    job_.text += text;
    if (error) job_.failure = error->message;
    if (!error && reason != engine::FinishReason::kLength && reason != engine::FinishReason::kStop) job_.failure = "cancelled";
    if (job_.failure.empty() && job_.tokens.size() != job_.max_tokens) job_.failure = "tokens are missing";
    rig_.loop_.post([&rig = rig_] { ++rig.finished_; });
  }

 private:
  EngineRig& rig_;
  Job& job_;
};

EngineRig::EngineRig(net::EventLoop& loop, std::shared_ptr<const engine::PackFile> pack, std::uint32_t threads)
    : loop_(loop), pack_(std::move(pack)), pool_(threads) {}
EngineRig::~EngineRig() = default;

Result<std::unique_ptr<EngineRig>> EngineRig::start(net::EventLoop& loop, const std::string& model_folder, const std::string& pack_path,
                                                    Options options) {
  FLEXPERT_ASSIGN(auto checkpoint, engine::Checkpoint::open(model_folder));
  FLEXPERT_ASSIGN(auto tokenizer, engine::Tokenizer::open(model_folder));
  FLEXPERT_ASSIGN(auto pack, engine::PackFile::open(pack_path));
  if (pack->model_fingerprint() != checkpoint->fingerprint())
    return fail(ErrorCode::kFailedPrecondition, "pack file of another model: {}", pack_path);
  std::unique_ptr<EngineRig> rig(new EngineRig(loop, pack, options.threads));
  if (options.remote) {
    const engine::RemoteExpertsOptions remote_options{.model_fingerprint = checkpoint->fingerprint()};
    auto remote = std::make_unique<engine::RemoteExperts>(pack, rig->pool_, remote_options, rig->metrics_, rig->clock_);
    rig->remote_ = remote.get();
    rig->executor_ = std::move(remote);
  } else {
    rig->executor_ = std::make_unique<engine::LocalExperts>(pack, rig->pool_);
  }
  FLEXPERT_ASSIGN(rig->engine_, engine::Engine::start(std::move(checkpoint), std::move(tokenizer), *rig->executor_,
                                                      {.pool = &rig->pool_, .max_batch = options.max_batch}, rig->metrics_, rig->clock_));
  return rig;
}

Result<void> EngineRig::run(std::vector<Job>& jobs, std::size_t in_flight, Duration deadline,
                            const std::function<void(std::uint64_t)>& on_progress) {
  finished_ = 0;
  tokens_ = 0;
  std::size_t submitted = 0;
  const TimePoint end = clock_.now() + deadline;
  while (finished_ < jobs.size()) {
    for (; submitted < jobs.size() && submitted - finished_ < in_flight; ++submitted) {
      Job& job = jobs[submitted];
      engine::GenerationRequest request;
      request.id = fmt::format("job-{}", next_id_++);
      request.prompt = job.prompt;
      request.max_tokens = job.max_tokens;
      request.sampling.temperature = job.temperature;
      request.sampling.seed = job.seed;
      request.ignore_eos = true;
      FLEXPERT_TRY(engine_->submit(std::move(request), std::make_unique<Sink>(*this, job)));
    }
    if (clock_.now() >= end) return fail(ErrorCode::kDeadlineExceeded, "requests hang: {} of {} ended", finished_, jobs.size());
    loop_.run_once(Milliseconds(on_progress ? 2 : 50));
    if (on_progress) on_progress(tokens_.load(std::memory_order_relaxed));
  }
  return {};
}

Result<double> EngineRig::set_table(RoutingTable table) {
  const TimePoint start = clock_.now();
  std::promise<Result<void>> done;
  engine_->between_steps([&, shared = std::make_shared<const RoutingTable>(std::move(table))] {
    done.set_value(remote_->set_routing_table(shared));
  });
  FLEXPERT_TRY(done.get_future().get());
  return to_ms(clock_.now() - start);
}

void EngineRig::set_table_soon(RoutingTable table) {
  engine_->between_steps([this, shared = std::make_shared<const RoutingTable>(std::move(table))] {
    if (!remote_->set_routing_table(shared)) ++refused_tables_;
  });
}

Result<void> EngineRig::connect(RoutingTable table) {
  FLEXPERT_TRY(set_table(std::move(table)));
  std::promise<bool> done;
  engine_->between_steps([&] { done.set_value(remote_->wait_connected(Seconds(10))); });
  if (!done.get_future().get()) return fail(ErrorCode::kUnavailable, "not all expert servers could be connected");
  return {};
}

double EngineRig::metric(const std::string& name) const {
  const std::string text = "\n" + metrics_.text();
  const std::size_t at = text.find("\n" + name + " ");
  return at == std::string::npos ? 0 : std::strtod(text.c_str() + at + name.size() + 2, nullptr);
}

double EngineRig::histogram_quantile(const std::string& name, double q) const {
  const double wanted = q * metric(name + "_count");
  const std::string text = metrics_.text();
  const std::string bucket = name + "_bucket{le=\"";
  for (std::size_t at = text.find(bucket); wanted > 0 && at != std::string::npos; at = text.find(bucket, at + 1)) {
    const char* bound = text.c_str() + at + bucket.size();
    const std::size_t count_at = text.find("} ", at);
    if (count_at != std::string::npos && std::strtod(text.c_str() + count_at + 2, nullptr) >= wanted) return std::strtod(bound, nullptr);
  }
  return 0;
}

std::size_t count_identical(const std::vector<Job>& a, const std::vector<Job>& b) {
  std::size_t same = 0;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    const bool whole = a[i].failure.empty() && b[i].failure.empty() && !a[i].tokens.empty();
    if (whole && a[i].tokens == b[i].tokens && a[i].text == b[i].text) ++same;
  }
  return same;
}

std::size_t count_failed(const std::vector<Job>& jobs) {
  return static_cast<std::size_t>(std::ranges::count_if(jobs, [](const Job& job) { return !job.failure.empty(); }));
}

std::vector<double> token_gaps_ms(const std::vector<Job>& jobs) {
  std::vector<double> gaps;
  for (const Job& job : jobs)
    for (std::size_t i = 1; i < job.times.size(); ++i) gaps.push_back(to_ms(job.times[i] - job.times[i - 1]));
  return gaps;
}

std::vector<Job> make_jobs(const std::vector<GoldenPrompt>& prompts, std::size_t count, std::uint32_t tokens) {
  std::vector<Job> jobs;
  for (std::size_t i = 0; i < count; ++i)
    jobs.push_back({.prompt = prompts[i % prompts.size()].ids, .max_tokens = tokens, .temperature = i % 2 == 0 ? 0.0F : 0.8F, .seed = i});
  return jobs;
}

}  // namespace flexpert::bench
