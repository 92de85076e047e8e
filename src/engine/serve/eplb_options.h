#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/expert/pack_file.h"
#include "engine/weights/model_config.h"
#include "fleet/expert_layout.h"
#include "fleet/routing_table.h"

namespace flexpert::engine {

/// How a model server that places its experts itself plans anew.
enum class EplbAlgorithm {
  kIncremental,  ///< few moves from the layout in force, early on drift
  kExact,        ///< DeepSeek's EPLB from scratch
  kQuality,      ///< from scratch, refined towards the lower bound
};

/// Reads "auto" or "incremental", "exact" or "deepseek", "quality".
Result<EplbAlgorithm> parse_eplb_algorithm(std::string_view name);

/// The placement of a model server without a controller, over expert servers that it is given.
struct EplbOptions {
  std::vector<std::string> servers;        ///< addresses of running expert servers; empty: somebody else places the experts
  std::vector<std::string> names = {};     ///< what they call themselves, in their order (server_names.h)
  std::string init_location = "trivial";   ///< the word, JSON text, or the path of a .json or .pt file
  std::uint32_t redundant_experts = 0;     ///< slots of a layer beyond one for each expert
  bool rebalance = false;
  EplbAlgorithm algorithm = EplbAlgorithm::kIncremental;
  std::uint64_t interval_steps = 1000;     ///< between two plans; a drift comes early
  double least_utilisation = 1.0;          ///< balancedness from which on nothing is done
};

/// Checks that the options go together and the slots divide over the servers; messages name SGLang's flags.
Result<void> validate(const EplbOptions& options, const ModelConfig& model);

/// Returns the layout to begin with; reads the file if the location is one. Precondition: validate().
Result<ExpertLayout> initial_layout(const EplbOptions& options, const ModelConfig& model);

/// Returns the bytes of one expert's weights as the pack holds them.
std::uint64_t bytes_per_expert(const PackFile& pack);

/// Returns the layout as a routing table over the servers (its devices, in order), whose names must be known; layers without
/// experts are left out.
RoutingTable table_of(const ExpertLayout& layout, const EplbOptions& options, const ModelConfig& model, std::uint64_t epoch);

}  // namespace flexpert::engine
