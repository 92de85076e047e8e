#pragma once

#include <cstdint>
#include <string_view>

namespace flexpert::gateway {

/// Fields of a request's outermost object that are read here.
enum class RequestField : std::uint8_t {
  kOther, kModel, kStream, kStreamOptions, kMaxTokens, kMaxCompletionTokens, kTemperature, kSeed, kN, kUser, kMessages, kPrompt, kInput
};

/// `key`: without its quotes, decoded.
RequestField request_field_of(std::string_view key);

/// Empty for kOther.
std::string_view name_of_request_field(RequestField field);

}  // namespace flexpert::gateway
