#include "workload/phases.h"

#include <cmath>

#include <boost/json.hpp>

namespace flexpert::workload {

namespace json = boost::json;

namespace {

std::string_view view(json::string_view text) { return {text.data(), text.size()}; }

Result<double> number(const json::value& value, std::string_view source, std::string_view field) {
  if (!value.is_number()) return fail(ErrorCode::kInvalidArgument, "phase field must be a number: {}: {}", source, field);
  return value.to_number<double>();
}

Result<Phase> parse_phase(const json::value& value, std::string_view source, std::size_t index) {
  const json::object* object = value.if_object();
  if (object == nullptr) return fail(ErrorCode::kInvalidArgument, "phase must be a JSON object: {}: phases[{}]", source, index);
  Phase phase;
  for (const auto& field : *object) {
    const std::string_view key = view(field.key());
    const std::string where = fmt::format("phases[{}].{}", index, key);
    if (key == "name") {
      if (!field.value().is_string()) return fail(ErrorCode::kInvalidArgument, "phase field must be a string: {}: {}", source, where);
      phase.name = view(field.value().get_string());
    } else if (key == "seconds") {
      FLEXPERT_ASSIGN(phase.seconds, number(field.value(), source, where));
    } else if (key == "requests_per_s") {
      FLEXPERT_ASSIGN(phase.requests_per_s, number(field.value(), source, where));
    } else if (key == "max_tokens") {
      FLEXPERT_ASSIGN(const double tokens, number(field.value(), source, where));
      if (!(tokens >= 1 && tokens <= 1e6) || tokens != std::floor(tokens))
        return fail(ErrorCode::kInvalidArgument, "phase needs a whole number from 1 to 1000000: {}: {}", source, where);
      phase.max_tokens = static_cast<std::uint32_t>(tokens);
    } else if (key == "mix") {
      if (!field.value().is_object())
        return fail(ErrorCode::kInvalidArgument, "phase field must be an object of prompt set and weight: {}: {}", source, where);
      for (const auto& part : field.value().get_object()) {
        FLEXPERT_ASSIGN(const double weight, number(part.value(), source, where));
        phase.mix.push_back({std::string(view(part.key())), weight});
      }
    } else {
      return fail(ErrorCode::kInvalidArgument,
                  "phase has an unknown field (allowed: name, seconds, requests_per_s, mix, max_tokens): {}: {}", source, where);
    }
  }
  if (auto valid = validate(phase); !valid) return fail(valid.error().with_context(fmt::format("{}: phases[{}]", source, index)));
  return phase;
}

}  // namespace

Result<void> validate(const Phase& phase) {
  if (phase.name.empty()) return fail(ErrorCode::kInvalidArgument, "phase needs a name");
  if (!(phase.seconds > 0 && phase.seconds <= 1e6))
    return fail(ErrorCode::kInvalidArgument, "phase needs seconds over 0 and up to 1000000: {}: {}", phase.name, phase.seconds);
  if (!(phase.requests_per_s >= 0 && phase.requests_per_s <= 1e6))
    return fail(ErrorCode::kInvalidArgument, "phase needs requests_per_s from 0 to 1000000: {}: {}", phase.name, phase.requests_per_s);
  if (phase.max_tokens == 0) return fail(ErrorCode::kInvalidArgument, "phase needs max_tokens of at least 1: {}", phase.name);
  if (phase.mix.empty()) return fail(ErrorCode::kInvalidArgument, "phase needs at least one prompt set in its mix: {}", phase.name);
  double total = 0;
  for (const MixPart& part : phase.mix) {
    if (!(part.weight >= 0 && part.weight <= 1e9))
      return fail(ErrorCode::kInvalidArgument, "mix weight must be from 0 to 1e9: {}: {}: {}", phase.name, part.set, part.weight);
    total += part.weight;
  }
  if (!(total > 0)) return fail(ErrorCode::kInvalidArgument, "mix needs a weight over 0: {}", phase.name);
  return {};
}

Result<std::vector<Phase>> parse_phases(std::string_view text, std::string_view source) {
  boost::system::error_code error;
  const json::value root = json::parse(json::string_view(text.data(), text.size()), error);
  if (error) return fail(ErrorCode::kInvalidArgument, "phases are not valid JSON: {}: {}", source, error.message());
  const json::object* object = root.if_object();
  const json::value* list = object == nullptr ? nullptr : object->if_contains("phases");
  if (list == nullptr || !list->is_array() || list->get_array().empty())
    return fail(ErrorCode::kInvalidArgument, "phases file needs the form {{\"phases\": [...]}} with at least one phase: {}", source);
  std::vector<Phase> phases;
  for (const json::value& value : list->get_array()) {
    FLEXPERT_ASSIGN(Phase phase, parse_phase(value, source, phases.size()));
    phases.push_back(std::move(phase));
  }
  return phases;
}

}  // namespace flexpert::workload
