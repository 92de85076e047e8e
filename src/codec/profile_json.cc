#include "codec/profile_json.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <initializer_list>
#include <utility>

#include <fmt/format.h>

#include "codec/json_numbers.h"
#include "codec/json_text.h"

namespace flexpert::codec {
namespace {

using simdjson::dom::element;
using simdjson::dom::object;

constexpr std::string_view kFormat = "flexpert-profile/1";
constexpr std::size_t kMostBytes = 16U << 20;
constexpr std::size_t kMostSteps = 100'000;
constexpr std::uint64_t kMostGpus = 4096;

/// A column of numbers: its key and where it goes.
template <class Owner>
struct Column {
  std::string_view key;
  std::vector<double> Owner::*values;
};
constexpr std::array<Column<ClassicSamples>, 3> kPrefill = {{{"isl", &ClassicSamples::prefill_isl},
                                                             {"ttft_ms", &ClassicSamples::prefill_ttft_ms},
                                                             {"tokens_per_s_per_gpu", &ClassicSamples::prefill_throughput_per_gpu}}};
constexpr std::array<Column<ClassicSamples>, 4> kDecode = {{{"kv_usage", &ClassicSamples::decode_kv_usage},
                                                            {"context_length", &ClassicSamples::decode_context_length},
                                                            {"itl_ms", &ClassicSamples::decode_itl_ms},
                                                            {"tokens_per_s_per_gpu", &ClassicSamples::decode_throughput_per_gpu}}};
struct Number {
  std::string_view key;
  double EngineLimits::*value;
};
constexpr std::array<Number, 3> kLimits = {
    {{"max_batch", &EngineLimits::max_batch}, {"chunk_tokens", &EngineLimits::chunk_tokens}, {"kv_tokens", &EngineLimits::kv_tokens}}};
struct StepField {
  std::string_view key;
  double StepSample::*value;
};
constexpr std::array<StepField, 4> kSteps = {{{"new_tokens", &StepSample::new_tokens},
                                              {"decode_batch", &StepSample::decode_batch},
                                              {"kv_tokens_read", &StepSample::kv_tokens_read},
                                              {"seconds", &StepSample::seconds}}};

std::string joined(std::string_view path, std::string_view key) { return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
  }

/// An object of the file with its place in it.
class Section {
 public:
  static Result<Section> of(element at, std::string_view path) {
    object found;
    if (at.get(found) != simdjson::SUCCESS) return fail(ErrorCode::kInvalidArgument, "{}: must be an object", path.empty() ? "profile"
                                                        : path);
    return Section(found, path);
  }

  Result<void> only(std::initializer_list<std::string_view> keys) const {
    for (const auto field : object_) {
      if (std::ranges::find(keys, field.key) != keys.end()) continue;
      return fail(ErrorCode::kInvalidArgument, "{}: there is no such key; allowed: {}", joined(path_, json_numbers::shown(field.key)),
                  fmt::join(keys, ", "));
    }
    return {};
  }

  Result<std::optional<Section>> section(std::string_view key) const {
    FLEXPERT_ASSIGN(const auto found, find(key));
    if (!found) return std::optional<Section>();
    FLEXPERT_ASSIGN(Section result, of(*found, joined(path_, key)));
    return std::optional(std::move(result));
  }

  Result<std::string> text(std::string_view key) const {
    FLEXPERT_ASSIGN(const auto found, find(key));
    if (!found) return std::string();
    std::string_view value;
    if (found->get(value) != simdjson::SUCCESS) return fail(ErrorCode::kInvalidArgument, "{}: must be a string", joined(path_, key));
    return std::string(value);
  }

  Result<double> number(std::string_view key) const {
    FLEXPERT_ASSIGN(const auto found, find(key));
    double value = 0;
    if (!found || found->get(value) != simdjson::SUCCESS) return fail(ErrorCode::kInvalidArgument, "{}: must be there, and a number",
                                                                      joined(path_, key));
    FLEXPERT_TRY(check(value, joined(path_, key)));
    return value;
  }

  Result<std::vector<double>> numbers(std::string_view key, std::size_t most) const {
    const std::string place = joined(path_, key);
    FLEXPERT_ASSIGN(const auto found, find(key));
    if (!found) return fail(ErrorCode::kInvalidArgument, "{}: is missing; it must be an array of numbers", place);
    FLEXPERT_ASSIGN(NumberArray array, json_numbers::number_array(*found, place));
    if (array.shape.size() != 1) return fail(ErrorCode::kInvalidArgument, "{}: must be an array of numbers", place);
    if (array.values.size() > most) return fail(ErrorCode::kResourceExhausted, "{}: at most {} numbers, there are {}", place, most,
                                                array.values.size());
    for (std::size_t i = 0; i < array.values.size(); ++i) FLEXPERT_TRY(check(array.values[i], fmt::format("{}[{}]", place, i)));
    return std::move(array.values);
  }

 private:
  Section(object at, std::string_view path) : object_(at), path_(path) {}

  static Result<void> check(double value, std::string_view place) {
    if (std::isfinite(value) && value >= 0) return {};
    return fail(ErrorCode::kInvalidArgument, "{}: must be finite and at least 0, not {}", place, value);
  }

  /// Nothing stands for a missing key, and for null.
  Result<std::optional<element>> find(std::string_view key) const {
    std::optional<element> found;
    bool seen = false;
    for (const auto field : object_) {
      if (field.key != key) continue;
      if (seen) return fail(ErrorCode::kInvalidArgument, "{}: the key is there twice; keep one", joined(path_, key));
      seen = true;
      if (!field.value.is_null()) found = field.value;
    }
    return found;
  }

  object object_;
  std::string path_;
};

template <std::size_t N>
Result<void> read_columns(const Section& section, const std::array<Column<ClassicSamples>, N>& columns, ClassicSamples& samples) {
  constexpr std::size_t kMostPoints = 20'000;
  for (const auto& [key, values] : columns) {
    FLEXPERT_ASSIGN(samples.*values, section.numbers(key, kMostPoints));
  }
  return {};
}

Result<std::optional<ClassicSamples>> read_samples(const Section& root) {
  FLEXPERT_ASSIGN(const auto prefill, root.section("prefill"));
  FLEXPERT_ASSIGN(const auto decode, root.section("decode"));
  if (!prefill && !decode) return std::optional<ClassicSamples>();
  if (!prefill || !decode) return fail(ErrorCode::kInvalidArgument, "{}: is missing; prefill and decode go together", prefill ? "decode"
                                       : "prefill");
  ClassicSamples samples;
  FLEXPERT_TRY(prefill->only({"isl", "ttft_ms", "tokens_per_s_per_gpu"}));
  FLEXPERT_TRY(decode->only({"kv_usage", "context_length", "itl_ms", "tokens_per_s_per_gpu", "max_kv_tokens"}));
  FLEXPERT_TRY(read_columns(*prefill, kPrefill, samples));
  FLEXPERT_TRY(read_columns(*decode, kDecode, samples));
  FLEXPERT_ASSIGN(samples.max_kv_tokens, decode->number("max_kv_tokens"));
  return std::optional(std::move(samples));
}

Result<std::vector<StepSample>> read_steps(const Section& section) {
  FLEXPERT_TRY(section.only({"new_tokens", "decode_batch", "kv_tokens_read", "seconds"}));
  std::vector<StepSample> steps;
  for (const auto& [key, value] : kSteps) {
    FLEXPERT_ASSIGN(const std::vector<double> column, section.numbers(key, kMostSteps));
    if (&key == &kSteps.front().key) steps.resize(column.size());
    if (column.size() != steps.size()) {
      return fail(ErrorCode::kInvalidArgument, "steps.{}: must have as many values as steps.new_tokens, {}; it has {}", key, steps.size(),
                  column.size());
    }
    for (std::size_t i = 0; i < column.size(); ++i) steps[i].*value = column[i];
  }
  return steps;
}

void write_numbers(std::string& out, std::string_view key, const std::vector<double>& values, bool last) {
  out += fmt::format("    \"{}\": [", key);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0) out += ", ";
    append_json_number(out, values[i]);
  }
  out += last ? "]\n" : "],\n";
}

}  // namespace

Result<EngineProfile> parse_profile_json(std::string_view text) {
  if (text.size() > kMostBytes) return fail(ErrorCode::kResourceExhausted, "profile: at most {} bytes, there are {}", kMostBytes,
                                            text.size());
  simdjson::dom::parser parser;
  FLEXPERT_ASSIGN(const element parsed, json_numbers::parse(parser, text, "profile"));
  FLEXPERT_ASSIGN(const Section root, Section::of(parsed, ""));
  FLEXPERT_TRY(root.only({"format", "model", "engine", "gpus_per_instance", "limits", "prefill", "decode", "steps"}));
  FLEXPERT_ASSIGN(const std::string format, root.text("format"));
  if (format != kFormat) return fail(ErrorCode::kInvalidArgument, "format: must be \"{}\", is \"{}\"", kFormat,
                                     json_numbers::shown(format));
  EngineProfile profile;
  FLEXPERT_ASSIGN(profile.model, root.text("model"));
  FLEXPERT_ASSIGN(profile.engine, root.text("engine"));
  FLEXPERT_ASSIGN(const double gpus, root.number("gpus_per_instance"));
  if (gpus < 1 || gpus > kMostGpus || gpus != std::floor(gpus)) {
    return fail(ErrorCode::kInvalidArgument, "gpus_per_instance: must be a whole number from 1 to {}, not {}", kMostGpus, gpus);
  }
  profile.gpus_per_instance = static_cast<std::uint32_t>(gpus);
  FLEXPERT_ASSIGN(profile.samples, read_samples(root));
  FLEXPERT_ASSIGN(const auto limits, root.section("limits"));
  if (limits) {
    FLEXPERT_TRY(limits->only({"max_batch", "chunk_tokens", "kv_tokens"}));
    profile.limits.emplace();
    for (const auto& [key, value] : kLimits) {
      FLEXPERT_ASSIGN((*profile.limits).*value, limits->number(key));
      if ((*profile.limits).*value < 1) return fail(ErrorCode::kInvalidArgument, "limits.{}: must be at least 1", key);
    }
  }
  FLEXPERT_ASSIGN(const auto steps, root.section("steps"));
  if (steps) {
    FLEXPERT_ASSIGN(profile.steps, read_steps(*steps));
  }
  if (!profile.samples && profile.steps.empty()) {
    return fail(ErrorCode::kInvalidArgument, "profile: it measures nothing; give prefill and decode, or steps");
  }
  return profile;
}

std::string write_profile_json(const EngineProfile& profile) {
  std::string out = fmt::format("{{\n  \"format\": \"{}\",\n  \"model\": ", kFormat);
  append_json_string(out, profile.model);
  out += ",\n  \"engine\": ";
  append_json_string(out, profile.engine);
  out += fmt::format(",\n  \"gpus_per_instance\": {}", profile.gpus_per_instance);
  if (profile.limits) {
    out += ",\n  \"limits\": {";
    for (std::size_t i = 0; i < kLimits.size(); ++i) {
      out += fmt::format("{}\"{}\": ", i == 0 ? "" : ", ", kLimits[i].key);
      append_json_number(out, (*profile.limits).*kLimits[i].value);
    }
    out += "}";
  }
  if (profile.samples) {
    out += ",\n  \"prefill\": {\n";
    for (const auto& [key, values] : kPrefill) write_numbers(out, key, (*profile.samples).*values, key == kPrefill.back().key);
    out += "  },\n  \"decode\": {\n";
    for (const auto& [key, values] : kDecode) write_numbers(out, key, (*profile.samples).*values, false);
    out += "    \"max_kv_tokens\": ";
    append_json_number(out, profile.samples->max_kv_tokens);
    out += "\n  }";
  }
  if (!profile.steps.empty()) {
    out += ",\n  \"steps\": {\n";
    for (const auto& [key, value] : kSteps) {
      std::vector<double> column;
      for (const StepSample& step : profile.steps) column.push_back(step.*value);
      write_numbers(out, key, column, key == kSteps.back().key);
    }
    out += "  }";
  }
  return out + "\n}\n";
}

}  // namespace flexpert::codec
