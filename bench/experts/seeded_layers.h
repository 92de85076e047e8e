#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/rng.h"
#include "engine/expert/pack_file.h"
#include "engine/model/expert_executor.h"

namespace flexpert::bench {

/// Returns the path of the seeded pack of Qwen3-30B-A3B layer geometry (2.4 GB), made beside the program once and kept.
Result<std::string> seeded_pack_beside(const std::string& program);

/// One MoE layer with made-up rows, each routed to `per_row` distinct experts.
class MadeUpLayer {
 public:
  MadeUpLayer(const engine::PackFile& pack, std::uint32_t layer, std::uint32_t rows, std::uint32_t per_row, Rng& rng);
  MadeUpLayer(const MadeUpLayer&) = delete;
  MadeUpLayer& operator=(const MadeUpLayer&) = delete;

  /// Runs it and returns the milliseconds that it took.
  double run_ms(engine::ExpertExecutor& executor, const Clock& clock);
  [[nodiscard]] const std::vector<float>& outputs() const { return outputs_; }
  [[nodiscard]] std::size_t distinct_experts() const { return groups_.size(); }

 private:
  std::vector<float> rows_;
  std::vector<std::vector<std::uint32_t>> rows_of_;
  std::vector<float> outputs_;
  std::vector<engine::ExpertGroup> groups_;
  engine::ExpertBatch batch_;
};

/// Bytes of one expert's weights.
double expert_bytes(const engine::PackFile& pack);

}  // namespace flexpert::bench
