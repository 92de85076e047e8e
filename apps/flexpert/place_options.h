#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

/// What `flexpert place VERB` was asked to do: filled by place_arguments.cc, read by the file of the verb's name.
namespace flexpert::app {

enum class PlaceVerb { kPlan, kDiff, kSize, kEvaluate, kReplay, kConvert, kRecord, kExplain };

/// The GPUs, as far as the command line says; the rest comes from the layout or the counts.
struct PlaceClusterOptions {
  std::optional<std::uint32_t> devices;
  std::optional<std::uint32_t> nodes;
  std::optional<std::uint32_t> hosts;           ///< failure domains; not given: the nodes
  std::optional<std::uint32_t> slots;           ///< of each device
  std::optional<std::uint32_t> redundant;       ///< of a layer, over one slot per expert
  std::vector<std::uint32_t> device_slots;      ///< of devices that differ
  std::vector<std::uint32_t> dead;
  std::vector<double> speeds;                   ///< of all devices, or empty
  std::vector<std::pair<std::uint32_t, double>> speed_of;  ///< of single devices
};

/// One load of a robust plan.
struct PlaceCase {
  std::string name;
  std::string source;
  double weight = 1;
};

struct PlaceOptions {
  PlaceVerb verb = PlaceVerb::kPlan;
  PlaceClusterOptions cluster;
  std::string counts;                           ///< where counts come from: a file, "-", inline JSON, an engine
  std::string layout;                           ///< where a layout comes from; the first of `diff`
  std::string other;                            ///< the second layout of `diff`; the output of `convert`
  std::string mode;                             ///< empty: chosen from what else was given
  std::uint32_t groups = 1;
  std::optional<double> affinity;
  std::string objective = "mean";
  std::vector<PlaceCase> cases;
  bool each_window = false;                     ///< the windows of the counts are loads of their own
  std::string current;
  std::optional<std::uint64_t> max_moves;
  std::optional<double> max_moves_percent;
  std::optional<std::uint64_t> max_bytes;
  std::uint64_t bytes_per_expert = 0;
  std::string cost = "none";
  std::optional<double> tokens_per_device;
  double steps = 10000;                         ///< that a plan is expected to be in force
  std::optional<double> node_gb_per_s;          ///< link within a node
  std::optional<double> cross_gb_per_s;
  double least_gain = 0;
  std::string output;
  std::string format;                           ///< of the output; empty: ours, or by the file's name
  std::string html;
  bool json = false;
  std::uint32_t rows = 10;                      ///< of long tables in the terminal
  double target = 0.95;
  std::uint32_t max_redundant = 0;
  std::uint32_t window_tokens = 2048;
  std::uint32_t concurrent = 32;
  std::string dispatch = "least_loaded";
  std::uint32_t experts = 0;                    ///< of a routing file; 0: from its bytes
  std::uint32_t top_k = 0;                      ///< of a routing file; 0: from its name
  double seconds = 60;
  std::uint32_t windows = 1;
  std::string via = "auto";
  std::string dump_folder;
  std::uint32_t layer = 0;
  std::uint32_t expert = 0;
};

}  // namespace flexpert::app
