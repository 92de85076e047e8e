#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "codec/slot_map.h"
#include "fleet/expert_counts.h"

/// What SGLang's expert distribution recorder dumps, as a .pt file. Modes `stat` and `stat_approx`:
/// {"rank", "logical_count": [steps][layers][experts], "average_utilization_rate_over_window"}. Modes `per_pass` and
/// `per_token`: {"records": [{"forward_pass_id", "rank", "gatherer_key", "global_physical_count": [layers][slots], ...}],
/// "last_physical_to_logical_map": [layers][slots]}, one file a rank, which counts what that rank saw.
namespace flexpert::codec {

struct RecorderDump {
  std::vector<ExpertCounts> steps;   ///< in the file's order; logical experts
  std::optional<SlotMap> last_map;   ///< modes per_pass and per_token
};

/// Reads a dump of any mode. Physical counts become logical ones through the dump's map; the recorder does not say when
/// the map changed, so a dump across a rebalance is read with the last one, as SGLang's own tools do. Errors: a key that
/// is missing, tensors that do not fit each other, a count below 0, more than 64 Mi counts in all.
Result<RecorderDump> parse_recorder_dump(std::string_view bytes);

/// Writes a dump of modes `stat` and `stat_approx`. Whole counts are int64, others float64. Errors: no step, different
/// geometries.
Result<std::string> write_stat_dump(const std::vector<ExpertCounts>& steps, std::uint32_t rank = 0);

/// One pass of the model, for write_pass_dump().
struct RecordedPass {
  std::int64_t id = 0;                       ///< forward_pass_id
  std::vector<std::uint32_t> slot_count;     ///< [layers][slots], global_physical_count
  std::uint32_t tokens = 0;                  ///< mode per_token; 0: the next is empty
  std::uint32_t top_k = 0;
  std::vector<std::int32_t> slot_of_token;   ///< [layers][tokens][top_k], topk_ids_of_layer; -1: none
};

/// Writes a dump of modes `per_pass` (no pass has tokens) and `per_token`. Errors: sizes that do not fit the map.
Result<std::string> write_pass_dump(const std::vector<RecordedPass>& passes, const SlotMap& map, std::uint32_t rank = 0);

}  // namespace flexpert::codec
