#include "engine/serve/pace_profile.h"

#include <fstream>
#include <iterator>

#include <boost/json.hpp>

namespace flexpert::engine {

Result<StepPace> parse_pace_profile(std::string_view text) {
  boost::system::error_code error;
  const boost::json::value value = boost::json::parse({text.data(), text.size()}, error);
  if (error) return fail(ErrorCode::kInvalidArgument, "pace profile is not valid JSON: {}", error.message());
  const boost::json::object* object = value.if_object();
  if (object == nullptr) return fail(ErrorCode::kInvalidArgument, "pace profile must be a JSON object with base_ms, per_token_us, per_kv_token_us");

  StepPace pace;
  for (const auto& field : *object) {
    const std::string_view name(field.key().data(), field.key().size());
    const bool milliseconds = name == "base_ms";
    double* const target = milliseconds ? &pace.base_ms : name == "per_token_us" ? &pace.per_token_us : name == "per_kv_token_us" ? &pace.per_kv_token_us : nullptr;
    if (target == nullptr)
      return fail(ErrorCode::kInvalidArgument, "pace profile has an unknown field (allowed: base_ms, per_token_us, per_kv_token_us): {}", name);
    if (!field.value().is_number()) return fail(ErrorCode::kInvalidArgument, "pace profile field must be a number: {}", name);
    const double most = milliseconds ? 60e3 : 60e6;
    const auto number = field.value().to_number<double>();
    if (!(number >= 0 && number <= most))
      return fail(ErrorCode::kInvalidArgument, "pace profile field must be between 0 and {}: {} is {}", most, name, number);
    *target = number;
  }
  if (pace.base_ms == 0 && pace.per_token_us == 0 && pace.per_kv_token_us == 0)
    return fail(ErrorCode::kInvalidArgument, "pace profile is zero in every field: set base_ms, per_token_us or per_kv_token_us, or leave the profile out");
  return pace;
}

Result<StepPace> read_pace_profile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(ErrorCode::kNotFound, "cannot read the pace profile: {}", path);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  auto pace = parse_pace_profile(text);
  if (!pace) return fail(pace.error().with_context(path));
  return pace;
}

}  // namespace flexpert::engine
