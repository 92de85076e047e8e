#pragma once

#include <optional>
#include <string>
#include <string_view>

/// The paths of the OpenAI API that carry a value. Pure.
namespace flexpert::codec {

/// Stands for every GET /v1/models/ID in tables and metrics.
inline constexpr std::string_view kOneModelPath = "/v1/models/{model}";

/// Returns the ID of a path /v1/models/ID with percent-encoding undone; an ID may hold slashes, as Hugging Face's do.
/// Returns nothing for every other path, and for a broken encoding.
std::optional<std::string> model_of_path(std::string_view path);

}  // namespace flexpert::codec
