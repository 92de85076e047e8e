// What restricted callers' tokens are computed with, while expert servers are killed. A request's experts depend on its own tokens
// alone, so what two runs choose in all must be the same to the row, whatever else runs beside it and whoever dies.
#include <boost/json.hpp>

#include "authorization/fleet.h"
#include "authorization/sections.h"
#include "base/rng.h"
#include "engine_rig.h"
#include "http/client.h"

namespace flexpert::bench {
namespace {

namespace json = boost::json;

constexpr std::uint32_t kTokens = 64;
constexpr std::size_t kJobsOfOne = 42;      ///< of each restricted caller
constexpr std::size_t kOpenJobs = 42;
constexpr std::size_t kInFlight = 12;
constexpr Duration kDeadline = Seconds(240);

struct Caller {
  std::string name;
  std::set<rules::Slot> forbidden;
};

struct TextJob {
  const Caller* caller = nullptr;
  std::string body;
  std::string text{};
  std::string failure{};
};

/// Experts of every layer, or of one, by chance; `keep` are left of each.
std::set<rules::Slot> some_slots(ExpertGeometry geometry, std::uint32_t keep, std::uint64_t seed) {
  Rng rng(seed);
  std::set<rules::Slot> out;
  for (unsigned layer = 0; layer < geometry.layers; ++layer) {
    std::set<unsigned> left;
    while (left.size() < keep) left.insert(static_cast<unsigned>(rng.below(geometry.experts)));
    for (unsigned expert = 0; expert < geometry.experts; ++expert)
      if (left.count(expert) == 0) out.insert({layer, expert});
  }
  return out;
}

std::vector<Caller> callers_of(ExpertGeometry geometry) {
  std::set<rules::Slot> one_layer;
  for (unsigned expert = 0; expert < geometry.experts; expert += 2) one_layer.insert({geometry.layers - 1, expert});
  return {{"half", some_slots(geometry, geometry.experts / 2, 11)}, {"few", some_slots(geometry, 5, 12)}, {"fewer_than_top_k",
      some_slots(geometry, 2, 13)}, {"one_layer", one_layer}};
}

std::vector<TextJob> jobs_of(const Caller& caller, const std::vector<GoldenPrompt>& prompts, std::size_t count, std::size_t first,
    const std::string& model) {
  std::vector<TextJob> jobs;
  for (std::size_t i = first; i < first + count; ++i) {
    json::array ids(prompts[i % prompts.size()].ids.begin(), prompts[i % prompts.size()].ids.end());
    const json::object body{{"model", model}, {"prompt", ids}, {"max_tokens", kTokens}, {"temperature", i % 2 == 0 ? 0.0 : 0.8}, {"seed",
        i}, {"ignore_eos", true}};
    jobs.push_back({.caller = &caller, .body = json::serialize(body)});
  }
  return jobs;
}

/// Kills an expert server every so often and starts it anew a little later.
class Reaper {
 public:
  Reaper(net::EventLoop& loop, ExpertFleet& experts) : loop_(loop), experts_(experts) { plan(); }
  ~Reaper() {
    loop_.cancel(strike_);
    for (const net::TimerId timer : revivals_) loop_.cancel(timer);
  }
  [[nodiscard]] int kills() const { return kills_; }

 private:
  void plan() {
    strike_ = loop_.call_after(Milliseconds(25 + static_cast<int>(rng_.below(40))), [this] { strike(); });
  }
  void strike() {
    const bool all = ++strikes_ % 4 == 0;
    const std::size_t victim = rng_.below(experts_.size());
    for (std::size_t i = 0; i < experts_.size(); ++i) {
      if ((!all && i != victim) || !experts_.ready(i)) continue;
      experts_.kill_9(i);
      ++kills_;
      revivals_.push_back(loop_.call_after(Milliseconds(20 + static_cast<int>(rng_.below(50))), [this, i] { revive(i); }));
    }
    plan();
  }
  void revive(std::size_t server) {
    // The dead process may not be reaped yet.
    if (experts_.running(server)) revivals_.push_back(loop_.call_after(Milliseconds(5), [this, server] { revive(server); }));
    else if (const auto started = experts_.start(server); !started) failed_ = true;
  }

  net::EventLoop& loop_;
  ExpertFleet& experts_;
  Rng rng_{3};
  net::TimerId strike_ = 0;
  std::vector<net::TimerId> revivals_;
  int strikes_ = 0;
  int kills_ = 0;
  bool failed_ = false;
};

/// Has every server run again, those too that were just killed.
Result<void> revive_all(net::EventLoop& loop, ExpertFleet& experts) {
  const auto settled = [&] {
    for (std::size_t i = 0; i < experts.size(); ++i)
      if (experts.running(i) && !experts.ready(i)) return false;
    return true;
  };
  FLEXPERT_TRY(run_until(loop, settled, Seconds(30), "killed expert servers to end"));
  return experts.start_all_and_wait();
}

/// Sends all jobs to the model server, `in_flight` at a time.
class Run {
 public:
  Run(net::EventLoop& loop, AuthorizationFleet& fleet, std::vector<TextJob>& jobs) : loop_(loop), fleet_(fleet), jobs_(jobs), client_(loop,
      {}) {}

  Result<void> all(std::size_t in_flight) {
    const SystemClock clock;
    const TimePoint end = clock.now() + kDeadline;
    while (ended_ < jobs_.size()) {
      while (begun_ < jobs_.size() && begun_ - ended_ < in_flight) begin(begun_++);
      if (clock.now() >= end) return fail(ErrorCode::kDeadlineExceeded, "requests hang: {} of {} ended", ended_, jobs_.size());
      if (!fleet_.server_running()) return fail(ErrorCode::kInternal, "the model server has ended");
      loop_.run_once(Milliseconds(20));
    }
    return {};
  }

 private:
  void begin(std::size_t at) {
    TextJob& job = jobs_[at];
    http::Request request;
    request.method = "POST";
    request.target = "/v1/completions";
    request.headers.add("Content-Type", "application/json");
    request.headers.add("X-Flexpert-Grant", fleet_.grant(job.caller->forbidden, job.body));
    request.body = job.body;
    auto answer = std::make_shared<http::Response>();
    http::AnswerCallbacks callbacks;
    callbacks.on_head = [answer](int status, const http::Headers&) { answer->status = status; };
    callbacks.on_body = [answer](std::string_view bytes) { answer->body += bytes; };
    callbacks.on_end = [this, at, answer] { end(at, *answer); };
    callbacks.on_error = [this, at](const Error& error) {
      jobs_[at].failure = error.message;
      ++ended_;
    };
    client_.send(fleet_.address(), std::move(request), std::move(callbacks));
  }
  void end(std::size_t at, const http::Response& answer) {
    ++ended_;
    TextJob& job = jobs_[at];
    boost::system::error_code error;
    const json::value body = json::parse(answer.body, error);
    if (answer.status != 200 || error) {
      job.failure = fmt::format("{}: {}", answer.status, answer.body);
      return;
    }
    job.text = std::string(body.at("choices").at(0).at("text").as_string());
    if (body.at("usage").at("completion_tokens").to_number<std::uint64_t>() != kTokens) job.failure = "tokens are missing";
  }

  net::EventLoop& loop_;
  AuthorizationFleet& fleet_;
  std::vector<TextJob>& jobs_;
  http::Client client_;
  std::size_t begun_ = 0;
  std::size_t ended_ = 0;
};

std::uint64_t rows_of(const std::vector<std::uint64_t>& counts, const std::set<rules::Slot>& slots, ExpertGeometry geometry) {
  std::uint64_t rows = 0;
  for (const auto& [layer, expert] : slots) rows += counts[geometry.index({layer, expert})];
  return rows;
}
std::uint64_t sum(const std::vector<std::uint64_t>& counts) {
  std::uint64_t all = 0;
  for (const std::uint64_t count : counts) all += count;
  return all;
}
std::size_t failed(const std::vector<TextJob>& jobs) {
  std::size_t count = 0;
  for (const TextJob& job : jobs)
    if (!job.failure.empty()) {
      ++count;
      std::printf("failed: %s\n", job.failure.substr(0, 300).c_str());
    }
  return count;
}
std::size_t different(const std::vector<TextJob>& a, const std::vector<TextJob>& b) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i].text != b[i].text || a[i].text.empty()) ++count;
  return count;
}
std::uint64_t slots_that_differ(const std::vector<std::uint64_t>& a, const std::vector<std::uint64_t>& b) {
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i] != b[i]) ++count;
  return count;
}

struct Reference {
  std::vector<TextJob> jobs;
  std::vector<std::uint64_t> chosen;  ///< rows per (layer, expert) that these jobs take
};

/// Runs a caller's jobs one at a time on a model server without expert servers.
Result<Reference> alone(net::EventLoop& loop, AuthorizationFleet& fleet, std::vector<TextJob> jobs) {
  FLEXPERT_ASSIGN(const Counted before, fleet.counted());
  FLEXPERT_TRY(Run(loop, fleet, jobs).all(1));
  FLEXPERT_ASSIGN(const Counted after, fleet.counted());
  if (failed(jobs) > 0) return fail(ErrorCode::kInternal, "the reference run failed");
  return Reference{std::move(jobs), (after - before).chosen};
}

}  // namespace

Result<void> measure_generation(const std::string& program, const std::string& model, Figures& figures) {
  FLEXPERT_ASSIGN(const auto prompts, load_golden_prompts(model));
  net::EventLoop loop;
  FLEXPERT_ASSIGN(const auto quiet, AuthorizationFleet::start(loop, program, model, false));
  const ExpertGeometry geometry = quiet->geometry();
  const std::vector<Caller> callers = callers_of(geometry);
  const Caller open{"open", {}};
  std::vector<Reference> references;
  for (std::size_t i = 0; i < callers.size(); ++i) {
    FLEXPERT_ASSIGN(references.emplace_back(), alone(loop, *quiet, jobs_of(callers[i], prompts, kJobsOfOne, 100 * i, quiet->model_name())));
  }
  FLEXPERT_ASSIGN(const Reference open_reference, alone(loop, *quiet, jobs_of(open, prompts, kOpenJobs, 1000, quiet->model_name())));
  // The same prompts without restrictions are a different matter, or the restrictions would show nothing.
  FLEXPERT_ASSIGN(const Reference unrestricted, alone(loop, *quiet, jobs_of(open, prompts, kJobsOfOne, 0, quiet->model_name())));
  figures.hold("restricted.would_use_forbidden", static_cast<double>(rows_of(unrestricted.chosen, callers[0].forbidden, geometry)), "rows",
      ">0",
               rows_of(unrestricted.chosen, callers[0].forbidden, geometry) > 0);

  FLEXPERT_ASSIGN(const auto fleet, AuthorizationFleet::start(loop, program, model, true));
  std::uint64_t wire = 0, in_process = 0, chosen = 0, on_servers = 0, restricted_tokens = 0, odd_slots = 0, asked_rows = 0, own_rows = 0;
  std::size_t wrong = 0, broken = 0;
  int kills = 0;
  for (std::size_t i = 0; i < callers.size(); ++i) {
    FLEXPERT_ASSIGN(const Counted before, fleet->counted());
    std::vector<TextJob> jobs = jobs_of(callers[i], prompts, kJobsOfOne, 100 * i, fleet->model_name());
    {
      Reaper reaper(loop, fleet->experts());
      FLEXPERT_TRY(Run(loop, *fleet, jobs).all(kInFlight));
      kills += reaper.kills();
    }
    FLEXPERT_TRY(revive_all(loop, fleet->experts()));
    FLEXPERT_ASSIGN(const Counted after, fleet->counted());
    const Counted delta = after - before;
    wire += rows_of(delta.asked, callers[i].forbidden, geometry);
    in_process += rows_of(delta.in_process, callers[i].forbidden, geometry);
    chosen += rows_of(delta.chosen, callers[i].forbidden, geometry);
    asked_rows += sum(delta.asked);
    own_rows += sum(delta.in_process);
    odd_slots += slots_that_differ(delta.chosen, references[i].chosen);
    wrong += different(jobs, references[i].jobs);
    broken += failed(jobs);
    restricted_tokens += (jobs.size() - failed(jobs)) * kTokens;
    // Everything that any caller so far was allowed is out of the question; what all were forbidden must be nowhere.
    std::set<rules::Slot> by_all = callers[0].forbidden;
    for (const Caller& caller : callers) std::erase_if(by_all, [&](const rules::Slot& slot) { return caller.forbidden.count(slot) == 0; });
    FLEXPERT_ASSIGN(const auto told, fleet->computed_by_servers());
    on_servers += rows_of(told, by_all, geometry);
  }
  figures.hold("alone.tokens", static_cast<double>(restricted_tokens), "generated", ">=10000", restricted_tokens >= 10000);
  figures.hold("alone.kills", kills, "kill -9", ">=20", kills >= 20);
  figures.hold("alone.failed", static_cast<double>(broken), "requests", "0", broken == 0);
  figures.hold("alone.forbidden_asked_of_servers", static_cast<double>(wire), "rows", "0", wire == 0);
  figures.hold("alone.forbidden_in_process", static_cast<double>(in_process), "rows", "0", in_process == 0);
  figures.hold("alone.forbidden_chosen", static_cast<double>(chosen), "rows", "0", chosen == 0);
  figures.hold("alone.forbidden_by_servers_account", static_cast<double>(on_servers), "rows", "0", on_servers == 0);
  figures.hold("alone.rows_by_servers", static_cast<double>(asked_rows), "rows", ">0", asked_rows > 0);
  figures.hold("alone.rows_in_process", static_cast<double>(own_rows), "rows", ">0", own_rows > 0);
  figures.hold("alone.slots_with_other_counts", static_cast<double>(odd_slots), "slots", "0", odd_slots == 0);
  figures.hold("alone.different_texts", static_cast<double>(wrong), "requests", "0", wrong == 0);

  std::vector<TextJob> mixed;
  std::vector<TextJob> expected;
  std::vector<std::uint64_t> due = open_reference.chosen;
  for (std::size_t i = 0; i < kJobsOfOne; ++i) {
    for (const Reference& reference : references) expected.push_back(reference.jobs[i]);
    expected.push_back(open_reference.jobs[i % kOpenJobs]);
  }
  for (const Reference& reference : references)
    for (std::size_t s = 0; s < due.size(); ++s) due[s] += reference.chosen[s];
  for (const TextJob& job : expected) mixed.push_back({.caller = job.caller, .body = job.body});
  FLEXPERT_ASSIGN(const Counted before, fleet->counted());
  int mixed_kills = 0;
  {
    Reaper reaper(loop, fleet->experts());
    FLEXPERT_TRY(Run(loop, *fleet, mixed).all(kInFlight));
    mixed_kills = reaper.kills();
  }
  FLEXPERT_ASSIGN(const Counted after, fleet->counted());
  const std::size_t mixed_failed = failed(mixed);
  figures.hold("mixed.tokens", static_cast<double>((mixed.size() - mixed_failed) * kTokens), "generated", ">=10000",
      (mixed.size() - mixed_failed) * kTokens >= 10000);
  figures.hold("mixed.kills", mixed_kills, "kill -9", ">=10", mixed_kills >= 10);
  figures.hold("mixed.failed", static_cast<double>(mixed_failed), "requests", "0", mixed_failed == 0);
  figures.hold("mixed.different_texts", static_cast<double>(different(mixed, expected)), "requests", "0", different(mixed, expected) == 0);
  const std::uint64_t odd = slots_that_differ((after - before).chosen, due);
  figures.hold("mixed.slots_with_other_counts", static_cast<double>(odd), "slots", "0", odd == 0);
  for (const char* where : {"remote", "in_process"}) {
    FLEXPERT_ASSIGN(const double checked, fleet->metric(fmt::format("flexpert_restricted_expert_rows_total{{where=\"{}\"}}", where)));
    figures.hold(fmt::format("rows_checked_again.{}", where), checked, "rows", ">0", checked > 0);
  }
  figures.hold("wire.malformed", static_cast<double>(fleet->malformed()), "frames", "0", fleet->malformed() == 0);
  return {};
}

}  // namespace flexpert::bench
