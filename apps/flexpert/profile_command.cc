#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include <boost/json.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "codec/profile_json.h"
#include "flexpert/described_command.h"
#include "flexpert/exit_codes.h"
#include "flexpert/files.h"
#include "flexpert/load_generator.h"
#include "flexpert/profile_plan.h"
#include "flexpert/profile_probe.h"
#include "http/client.h"
#include "report/live_view.h"
#include "report/table.h"

namespace flexpert::app {
namespace {

struct ProfileOptions {
  std::string url;
  std::string model;
  std::string output = "profile.json";
  std::uint32_t gpus = 1;
  std::uint32_t osl = 64;
  std::uint32_t repeats = 3;
  std::uint32_t max_context = 0;
  std::uint32_t max_concurrency = 32;
  std::optional<double> max_kv_tokens;
  std::vector<std::uint32_t> isl;
  std::vector<std::uint32_t> context;
  std::vector<std::uint32_t> concurrency;
  double timeout_s = 600;
  bool fresh = false;
};

constexpr std::uint32_t kUnknownContext = 2048;

/// Asks for a JSON document; null where there is none.
boost::json::value json_of(const net::Address& address, const std::string& target) {
  const auto answer = http::fetch(address, {.method = "GET", .target = target, .headers = {}, .body = {}, .peer = {}}, Seconds(10));
  if (!answer || answer->status != 200) return {};
  boost::system::error_code error;
  boost::json::value value = boost::json::parse(answer->body, error);
  return error ? boost::json::value() : value;
}

std::optional<double> number_at(const boost::json::value& root, std::string_view pointer) {
  boost::system::error_code error;
  const boost::json::value* found = root.find_pointer({pointer.data(), pointer.size()}, error);
  if (found == nullptr || !found->is_number()) return std::nullopt;
  return found->to_number<double>(error);
}

/// Returns the value of a label in the first line that has it: `block_size="16"`.
std::optional<double> label_number(std::string_view metrics, std::string_view label) {
  const std::string wanted = fmt::format("{}=\"", label);
  const std::size_t at = metrics.find(wanted);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string text(metrics.substr(at + wanted.size(), 20));
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  return end == text.c_str() ? std::nullopt : std::optional(value);
}

/// What the engine's KV cache holds: ours and vLLM say it.
std::optional<double> kv_tokens_of(const net::Address& address, const boost::json::value& status) {
  constexpr double kBlockTokens = 16;
  if (const auto blocks = number_at(status, "/kv_blocks_total")) return *blocks * kBlockTokens;
  const auto answer = http::fetch(address, {.method = "GET", .target = "/metrics", .headers = {}, .body = {}, .peer = {}}, Seconds(10));
  if (!answer || answer->status != 200) return std::nullopt;
  const auto blocks = label_number(answer->body, "num_gpu_blocks");
  const auto size = label_number(answer->body, "block_size");
  if (!blocks || !size) return std::nullopt;
  return *blocks * *size;
}

Result<ProfileSettings> settings_of(const ProfileOptions& options, const net::Address& address) {
  ProfileSettings settings{.model = options.model, .gpus = options.gpus, .osl = options.osl, .repeats = options.repeats, .isl = options.isl,
                           .context = options.context, .concurrency = options.concurrency};
  if (settings.model.empty()) {
    FLEXPERT_ASSIGN(settings.model, first_model_of(address));
  }
  const boost::json::value status = json_of(address, "/internal/status");
  const auto kv_tokens = options.max_kv_tokens ? options.max_kv_tokens : kv_tokens_of(address, status);
  if (!kv_tokens) return fail(ErrorCode::kInvalidArgument, "the engine does not say how many tokens its KV cache holds; give --max-kv-tokens (its log says it at start)");
  settings.max_kv_tokens = *kv_tokens;
  double most = options.max_context;
  if (most == 0) most = number_at(status, "/max_context").value_or(number_at(json_of(address, "/v1/models"), "/data/0/max_model_len").value_or(kUnknownContext));
  most = std::min(most, settings.max_kv_tokens) - options.osl;
  if (most < 64) return fail(ErrorCode::kInvalidArgument, "contexts are too short to measure: {} tokens without the answer's {}; lower --osl or raise --max-context", most, options.osl);
  if (settings.isl.empty()) settings.isl = default_lengths(static_cast<std::uint32_t>(most));
  if (settings.context.empty()) settings.context = default_lengths(static_cast<std::uint32_t>(most));
  if (settings.concurrency.empty())
    for (std::uint32_t streams = 1; streams <= options.max_concurrency; streams *= 2) settings.concurrency.push_back(streams);
  for (auto* list : {&settings.isl, &settings.context, &settings.concurrency}) {
    std::sort(list->begin(), list->end());
    list->erase(std::unique(list->begin(), list->end()), list->end());
    if (list->front() == 0) return fail(ErrorCode::kInvalidArgument, "--isl, --context and --concurrency take numbers from 1");
  }
  if (settings.isl.size() < 4) return fail(ErrorCode::kInvalidArgument, "--isl needs at least 4 lengths to interpolate between; it has {}", settings.isl.size());
  return settings;
}

std::string points_file(const ProfileOptions& options) { return options.output + ".points"; }

/// What was measured already, if it is of the same settings.
Result<ProfileProgress> progress_of(const ProfileOptions& options, const ProfileSettings& settings) {
  ProfileProgress fresh{.settings = settings, .prefill = {}, .decode = {}};
  const std::string file = points_file(options);
  if (options.fresh || !std::filesystem::exists(file)) return fresh;
  FLEXPERT_ASSIGN(const std::string text, read_text_file(file));
  auto found = decode_profile_progress(text);
  if (!found) return fail(found.error().with_context(fmt::format("{} cannot be continued (--fresh begins anew)", file)));
  if (!(found->settings == settings))
    return fail(ErrorCode::kFailedPrecondition, "{} was measured with other settings; give --fresh to replace it, or another --out", file);
  return found;
}

Result<void> measure(const ProfileEngine& engine, const TokensPerWord& scale, const ProfileTask& task, ProfileProgress& progress, Rng& rng) {
  if (task.concurrency == 0) {
    std::vector<double> ttft_ms;
    double isl = 0;
    for (std::uint32_t i = 0; i < progress.settings.repeats; ++i) {
      FLEXPERT_ASSIGN(const auto answers, probe(engine, 1, scale.words_for(task.length), 1, rng));
      ttft_ms.push_back(answers[0].ttft_s * 1000);
      isl += static_cast<double>(answers[0].prompt_tokens) / progress.settings.repeats;
    }
    std::sort(ttft_ms.begin(), ttft_ms.end());
    progress.prefill.push_back({task.length, isl, ttft_ms[ttft_ms.size() / 2]});
    return {};
  }
  const double prompt = std::max(1.0, task.length - progress.settings.osl / 2.0);
  FLEXPERT_ASSIGN(const auto answers, probe(engine, task.concurrency, scale.words_for(prompt), progress.settings.osl, rng));
  double context = 0;
  for (const ProbeAnswer& answer : answers)
    context += (static_cast<double>(answer.prompt_tokens) + static_cast<double>(answer.completion_tokens) / 2) / static_cast<double>(answers.size());
  FLEXPERT_ASSIGN(const double itl_s, steady_itl_s(answers));
  progress.decode.push_back({task.length, task.concurrency, context, itl_s * 1000});
  return {};
}

void print_table(const ProfileProgress& progress) {
  const report::Terminal terminal = report::Terminal::of(STDOUT_FILENO);
  report::Table prefill({{"ISL"}, {"TTFT ms"}, {"tokens/s/GPU"}});
  for (const PrefillPoint& point : progress.prefill)
    prefill.add_row({fmt::format("{:.0f}", point.isl), fmt::format("{:.2f}", point.ttft_ms), fmt::format("{:.0f}", point.isl / point.ttft_ms * 1000 / progress.settings.gpus)});
  report::Table decode({{"streams"}, {"context"}, {"KV use"}, {"ITL ms"}, {"tokens/s/GPU"}});
  for (const DecodePoint& point : progress.decode)
    decode.add_row({fmt::format("{}", point.concurrency), fmt::format("{:.0f}", point.context),
                    fmt::format("{:.3f}", point.concurrency * point.context / progress.settings.max_kv_tokens), fmt::format("{:.2f}", point.itl_ms),
                    fmt::format("{:.0f}", point.concurrency / point.itl_ms * 1000 / progress.settings.gpus)});
  fmt::print("{}\n{}", prefill.text(terminal.width, terminal.colours), decode.text(terminal.width, terminal.colours));
}

Result<void> profile(const ProfileOptions& options) {
  FLEXPERT_ASSIGN(const net::Address address, parse_base_url(options.url));
  FLEXPERT_ASSIGN(const ProfileSettings settings, settings_of(options, address));
  FLEXPERT_ASSIGN(ProfileProgress progress, progress_of(options, settings));
  const std::size_t all = all_tasks(settings).size();
  const std::vector<ProfileTask> left = tasks_left(progress);
  const ProfileEngine engine{.address = address, .model = settings.model, .timeout = from_seconds(options.timeout_s)};
  report::ProgressBar bar(stderr, report::Terminal::of(STDERR_FILENO), fmt::format("profiling {}", settings.model));
  if (!left.empty()) {
    Rng rng(left.size());
    FLEXPERT_ASSIGN(const TokensPerWord scale, measure_tokens_per_word(engine, rng));
    for (std::size_t i = 0; i < left.size(); ++i) {
      bar.update(all - left.size() + i, all);
      FLEXPERT_TRY(measure(engine, scale, left[i], progress, rng));
      FLEXPERT_TRY(write_text_file(points_file(options), encode(progress)));
    }
  }
  FLEXPERT_TRY(write_text_file(options.output, codec::write_profile_json(profile_of(progress))));
  bar.finish(fmt::format("{} of {} points measured now, {} in {}", left.size(), all, all, options.output));
  print_table(progress);
  return {};
}

}  // namespace

DescribedCommand profile_command() {
  const auto o = std::make_shared<ProfileOptions>();
  using namespace argument;
  DescribedCommand command{.name = "profile", .help = "Measure what an OpenAI-compatible engine can do, for the planner", .examples = {}, .arguments = {}, .verbs = {}, .run = {}};
  command.arguments = {
      required(text("url", o->url, "http://HOST:PORT of the engine; nothing else should use it meanwhile", "URL")),
      text("-o,--out", o->output, "profile to write; its points are kept in FILE.points, from which a stopped run is continued", "FILE"),
      text("--model", o->model, "the model's name in requests (default: the first of GET /v1/models)"),
      count("--gpus", o->gpus, 1, 65536, "that the engine runs on"),
      list("--isl", o->isl, 1u << 24, "prompt lengths of prefill points, in tokens (default: doubling from 32)"),
      list("--context", o->context, 1u << 24, "context lengths of decode points (default: doubling from 32)"),
      list("--concurrency", o->concurrency, 65536, "streams at once in decode points (default: doubling from 1)"),
      count("--max-concurrency", o->max_concurrency, 1, 65536, "to which --concurrency doubles"),
      count("--osl", o->osl, 4, 65536, "tokens of each answer in decode points"),
      count("--repeats", o->repeats, 1, 1000, "measurements of each prefill point; their median counts"),
      count("--max-context", o->max_context, 0, 1u << 24, "longest context (0: what the engine says)"),
      real("--max-kv-tokens", o->max_kv_tokens, 1, 1e12, "that the engine's KV cache holds (default: what it says)"),
      real("--timeout", o->timeout_s, 1, 86400, "seconds for one answer"),
      flag("--fresh", o->fresh, "begin anew where the file exists"),
  };
  command.examples =
      "Examples:\n  flexpert profile http://127.0.0.1:8000 -o profiles/tiny.json\n"
      "  flexpert profile http://10.0.0.5:8000 --gpus 8 --isl 256,1024,4096,16384 --concurrency 1,8,32,128 --osl 128\n"
      "Stop it with Ctrl-C and start it again: it goes on where it was.";
  command.run = [o] {
    if (auto done = profile(*o); !done) return fail_with("profile", done.error());
    return kExitOk;
  };
  return command;
}

}  // namespace flexpert::app
