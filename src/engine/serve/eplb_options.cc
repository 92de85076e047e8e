#include "engine/serve/eplb_options.h"

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

#include "codec/expert_location.h"
#include "net/address.h"
#include "placement/eplb.h"
#include "placement/quality.h"

namespace flexpert::engine {
namespace {

constexpr std::uint64_t kMostFileBytes = std::uint64_t{256} << 20;

Result<std::string> read_location(const std::string& location) {
  const std::size_t first = location.find_first_not_of(" \t\r\n");
  if (location == "trivial" || (first != std::string::npos && location[first] == '{')) return location;
  std::ifstream file(location, std::ios::binary | std::ios::ate);
  if (!file)
    return fail(ErrorCode::kNotFound, "--init-expert-location: neither `trivial`, nor JSON, nor a file that can be read: {}", location.substr(0, 200));
  const auto size = static_cast<std::uint64_t>(file.tellg());
  if (size > kMostFileBytes) return fail(ErrorCode::kResourceExhausted, "--init-expert-location: a file of {} bytes, {} are allowed: {}", size, kMostFileBytes, location);
  file.seekg(0);
  std::string text(size, '\0');
  file.read(text.data(), static_cast<std::streamsize>(size));
  if (!file) return fail(ErrorCode::kUnavailable, "--init-expert-location: cannot be read: {}", location);
  return text;
}

std::vector<std::uint32_t> slots_of_servers(const EplbOptions& options, const ModelConfig& model) {
  const auto servers = static_cast<std::uint32_t>(options.servers.size());
  return std::vector<std::uint32_t>(servers, (model.num_experts + options.redundant_experts) / servers);
}

Result<ExpertLayout> planned(const ExpertCounts& counts, const EplbOptions& options, const ModelConfig& model) {
  if (counts.geometry != model.expert_geometry())
    return fail(ErrorCode::kInvalidArgument, "--init-expert-location: counts of {} layers x {} experts, the model has {} x {}", counts.geometry.layers,
                counts.geometry.experts, model.num_layers, model.num_experts);
  const auto servers = static_cast<std::uint32_t>(options.servers.size());
  const std::uint32_t slots = model.num_experts + options.redundant_experts;
  if (options.algorithm == EplbAlgorithm::kExact) return placement::plan_eplb(counts, {slots, 1, 1, servers});
  FLEXPERT_ASSIGN(PlacementPlan plan, placement::plan_quality(counts, ExpertCluster::uniform(servers, 1, slots / servers)));
  return std::move(plan.layout);
}

}  // namespace

Result<EplbAlgorithm> parse_eplb_algorithm(std::string_view name) {
  if (name == "auto" || name == "incremental") return EplbAlgorithm::kIncremental;
  if (name == "exact" || name == "deepseek") return EplbAlgorithm::kExact;
  if (name == "quality") return EplbAlgorithm::kQuality;
  return fail(ErrorCode::kInvalidArgument, "--eplb-algorithm must be auto, incremental, exact (or deepseek) or quality: {}", name);
}

Result<void> validate(const EplbOptions& options, const ModelConfig& model) {
  if (options.servers.empty()) {
    if (options.rebalance)
      return fail(ErrorCode::kInvalidArgument,
                  "--enable-eplb balances experts over expert servers: give them with --expert-servers ADDRESS,ADDRESS,..., each a running "
                  "`flexpert expert`");
    if (options.init_location != "trivial" || options.redundant_experts > 0)
      return fail(ErrorCode::kInvalidArgument, "--init-expert-location and --ep-num-redundant-experts place experts on expert servers: give those with --expert-servers");
    return {};
  }
  if (model.num_experts == 0) return fail(ErrorCode::kInvalidArgument, "--expert-servers: the model has no experts");
  std::set<std::string> seen;
  for (const std::string& server : options.servers) {
    FLEXPERT_TRY(net::Address::parse(server));
    if (!seen.insert(server).second) return fail(ErrorCode::kInvalidArgument, "--expert-servers: given twice: {}", server);
  }
  if (options.servers.size() > 65535) return fail(ErrorCode::kInvalidArgument, "--expert-servers: at most 65535: {}", options.servers.size());
  const std::uint64_t slots = std::uint64_t{model.num_experts} + options.redundant_experts;
  if (slots % options.servers.size() != 0)
    return fail(ErrorCode::kInvalidArgument, "--ep-num-redundant-experts: {} experts and {} redundant ones do not divide over {} expert servers; {} would",
                model.num_experts, options.redundant_experts, options.servers.size(),
                options.redundant_experts + options.servers.size() - slots % options.servers.size());
  if (slots / options.servers.size() > model.num_experts)
    return fail(ErrorCode::kInvalidArgument, "--ep-num-redundant-experts: {} are more than one replica of every expert on each of {} servers",
                options.redundant_experts, options.servers.size());
  if (options.interval_steps == 0) return fail(ErrorCode::kInvalidArgument, "--eplb-rebalance-num-iterations must be at least 1");
  return {};
}

Result<ExpertLayout> initial_layout(const EplbOptions& options, const ModelConfig& model) {
  const std::vector<std::uint32_t> slots = slots_of_servers(options, model);
  FLEXPERT_ASSIGN(const std::string text, read_location(options.init_location));
  auto location = codec::parse_expert_location(text);
  if (!location) return fail(location.error().with_context("--init-expert-location"));
  if (std::holds_alternative<codec::TrivialLocation>(*location)) return trivial_layout(model.expert_geometry(), slots);
  if (const auto* counts = std::get_if<ExpertCounts>(&*location)) return planned(*counts, options, model);
  auto layout = codec::layout_of(std::get<codec::SlotMap>(*location), static_cast<std::uint32_t>(options.servers.size()), model.num_experts);
  if (!layout) return fail(layout.error().with_context("--init-expert-location"));
  if (layout->geometry != model.expert_geometry() || layout->slots_of_device != slots)
    return fail(ErrorCode::kInvalidArgument, "--init-expert-location: {} layers of {} slots on {} devices, the flags say {} layers of {} slots on {}",
                layout->geometry.layers, layout->slots(), layout->devices(), model.num_layers, model.num_experts + options.redundant_experts, slots.size());
  return layout;
}

std::uint64_t bytes_per_expert(const PackFile& pack) {
  for (std::size_t i = 0; i < pack.geometry().size(); ++i)
    if (const ExpertWeights* expert = pack.expert(pack.geometry().slot(i)); expert != nullptr) {
      std::uint64_t bytes = 0;
      for (const PackedMatrix& matrix : {expert->gate, expert->up, expert->down}) bytes += packed_bytes(matrix.type, matrix.outputs, matrix.inputs);
      return bytes;
    }
  return 0;
}

RoutingTable table_of(const ExpertLayout& layout, const EplbOptions& options, const ModelConfig& model, std::uint64_t epoch) {
  RoutingTable table{epoch, layout.geometry, {}, std::vector<std::vector<std::uint16_t>>(layout.geometry.size())};
  for (std::size_t s = 0; s < options.servers.size(); ++s) table.endpoints.push_back({{options.names[s]}, options.servers[s]});
  const std::vector<std::uint32_t> device_of = device_of_slots(layout.slots_of_device);
  for (std::uint32_t layer = 0; layer < layout.geometry.layers; ++layer) {
    if (!model.is_moe_layer(layer)) continue;
    const auto experts = layout.layer(layer);
    for (std::size_t slot = 0; slot < experts.size(); ++slot) {
      if (experts[slot] == kEmptySlot) continue;
      auto& list = table.replicas[layout.geometry.index({layer, static_cast<std::uint32_t>(experts[slot])})];
      const auto server = static_cast<std::uint16_t>(device_of[slot]);
      if (list.empty() || list.back() != server) list.push_back(server);  // slots come by device
    }
  }
  return table;
}

}  // namespace flexpert::engine
