#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

/// What of the machine a model server uses: the JSON of /internal/resources (docs/reference/internal-api.md).
namespace flexpert::codec {

struct EngineResourcesReport {
  std::uint32_t threads = 1;
  std::uint32_t kv_blocks = 1;
  std::uint32_t max_kv_blocks = 1;  ///< to which kv_blocks may be raised
};
std::string encode(const EngineResourcesReport& report);
Result<EngineResourcesReport> decode_engine_resources_report(std::string_view json);

/// What should change; what is absent stays.
struct EngineResourcesWish {
  std::optional<std::uint32_t> threads;
  std::optional<std::uint32_t> kv_blocks;
};
std::string encode(const EngineResourcesWish& wish);
/// Errors: not an object, unknown fields, numbers that are not whole and positive, nothing wished for.
Result<EngineResourcesWish> decode_engine_resources_wish(std::string_view json);

}  // namespace flexpert::codec
