#include "flexpert/profile_plan.h"

#include <algorithm>

#include <boost/json.hpp>

namespace flexpert::app {
namespace {

namespace json = boost::json;

constexpr int kVersion = 1;

json::array to_json(const std::vector<std::uint32_t>& values) { return json::array(values.begin(), values.end()); }

json::object to_json(const ProfileSettings& settings) {
  return {{"version", kVersion},
          {"model", settings.model},
          {"gpus", settings.gpus},
          {"osl", settings.osl},
          {"repeats", settings.repeats},
          {"max_kv_tokens", settings.max_kv_tokens},
          {"isl", to_json(settings.isl)},
          {"context", to_json(settings.context)},
          {"concurrency", to_json(settings.concurrency)}};
}

std::vector<std::uint32_t> counts_of(const json::value& value) { return json::value_to<std::vector<std::uint32_t>>(value); }

}  // namespace

std::vector<std::uint32_t> default_lengths(std::uint32_t most) {
  std::vector<std::uint32_t> lengths;
  for (std::uint32_t length = 32; length < most; length *= 2) lengths.push_back(length);
  lengths.push_back(most);
  // Fewer than four cannot be interpolated between.
  for (std::uint32_t part = 3; lengths.size() < 4; ++part) lengths.push_back(std::max(1U, most / part));
  std::sort(lengths.begin(), lengths.end());
  lengths.erase(std::unique(lengths.begin(), lengths.end()), lengths.end());
  return lengths;
}

std::vector<ProfileTask> all_tasks(const ProfileSettings& settings) {
  std::vector<ProfileTask> tasks;
  for (const std::uint32_t isl : settings.isl) tasks.push_back({isl, 0});
  for (const std::uint32_t context : settings.context)
    for (const std::uint32_t streams : settings.concurrency)
      if (streams * (context + settings.osl / 2.0) <= settings.max_kv_tokens) tasks.push_back({context, streams});
  return tasks;
}

std::vector<ProfileTask> tasks_left(const ProfileProgress& progress) {
  std::vector<ProfileTask> left;
  for (const ProfileTask& task : all_tasks(progress.settings)) {
    const bool done = task.concurrency == 0
                          ? std::any_of(progress.prefill.begin(), progress.prefill.end(), [&](const PrefillPoint& p) { return p.asked_isl == task.length; })
                          : std::any_of(progress.decode.begin(), progress.decode.end(),
                                        [&](const DecodePoint& p) { return p.asked_context == task.length && p.concurrency == task.concurrency; });
    if (!done) left.push_back(task);
  }
  return left;
}

EngineProfile profile_of(const ProfileProgress& progress) {
  EngineProfile profile;
  profile.model = progress.settings.model;
  profile.gpus_per_instance = progress.settings.gpus;
  ClassicSamples& samples = profile.samples.emplace();
  std::vector<PrefillPoint> prefill = progress.prefill;
  std::sort(prefill.begin(), prefill.end(), [](const PrefillPoint& a, const PrefillPoint& b) { return a.isl < b.isl; });
  for (const PrefillPoint& point : prefill) {
    if (!samples.prefill_isl.empty() && point.isl <= samples.prefill_isl.back()) continue;  // two lengths that the engine counts alike
    samples.prefill_isl.push_back(point.isl);
    samples.prefill_ttft_ms.push_back(point.ttft_ms);
    samples.prefill_throughput_per_gpu.push_back(point.isl / point.ttft_ms * 1000 / progress.settings.gpus);
  }
  for (const DecodePoint& point : progress.decode) {
    samples.decode_kv_usage.push_back(std::min(1.0, point.concurrency * point.context / progress.settings.max_kv_tokens));
    samples.decode_context_length.push_back(point.context);
    samples.decode_itl_ms.push_back(point.itl_ms);
    samples.decode_throughput_per_gpu.push_back(point.concurrency / point.itl_ms * 1000 / progress.settings.gpus);
  }
  samples.max_kv_tokens = progress.settings.max_kv_tokens;
  return profile;
}

std::string encode(const ProfileProgress& progress) {
  json::array prefill;
  for (const PrefillPoint& p : progress.prefill) prefill.push_back({p.asked_isl, p.isl, p.ttft_ms});
  json::array decode;
  for (const DecodePoint& p : progress.decode) decode.push_back({p.asked_context, p.concurrency, p.context, p.itl_ms});
  const json::object document{{"settings", to_json(progress.settings)}, {"prefill", prefill}, {"decode", decode}};
  return json::serialize(document) + "\n";
}

Result<ProfileProgress> decode_profile_progress(const std::string& text) {
  // Boost.JSON tells of a wrong type or a missing key by throwing.
  try {
    const json::value root = json::parse(text);
    if (!root.is_object() || !root.get_object().contains("settings")) return fail(ErrorCode::kInvalidArgument, "it has no points of this program");
    const json::value& from = root.at("settings");
    if (from.at("version").as_int64() != kVersion) return fail(ErrorCode::kInvalidArgument, "it is of version {}; this program writes {}", from.at("version").as_int64(), kVersion);
    ProfileProgress progress;
    ProfileSettings& settings = progress.settings;
    settings.model = json::value_to<std::string>(from.at("model"));
    settings.gpus = from.at("gpus").to_number<std::uint32_t>();
    settings.osl = from.at("osl").to_number<std::uint32_t>();
    settings.repeats = from.at("repeats").to_number<std::uint32_t>();
    settings.max_kv_tokens = from.at("max_kv_tokens").to_number<double>();
    settings.isl = counts_of(from.at("isl"));
    settings.context = counts_of(from.at("context"));
    settings.concurrency = counts_of(from.at("concurrency"));
    for (const json::value& p : root.at("prefill").as_array())
      progress.prefill.push_back({p.at(0).to_number<std::uint32_t>(), p.at(1).to_number<double>(), p.at(2).to_number<double>()});
    for (const json::value& p : root.at("decode").as_array())
      progress.decode.push_back({p.at(0).to_number<std::uint32_t>(), p.at(1).to_number<std::uint32_t>(), p.at(2).to_number<double>(), p.at(3).to_number<double>()});
    return progress;
  } catch (const std::exception& error) {
    return fail(ErrorCode::kInvalidArgument, "it is damaged: {}", error.what());
  }
}

}  // namespace flexpert::app
