#include "config/expert_group_reader.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "config/each_item.h"

namespace flexpert::config {
namespace {

constexpr std::uint32_t kMaxLayers = 1024;
constexpr std::uint32_t kMaxExperts = 65536;

constexpr const char* kLayerForm = "layer: N together with experts: [N, ...]";

/// The experts of one group, each once, in the order of the file.
class Slots {
 public:
  Slots(ProblemList& problems, std::size_t& room) : problems_(problems), room_(room) {}

  void add(const YamlNode& node, const std::string& path, ExpertSlot slot) {
    if (!seen_.insert(slot).second)
      return problems_.add(node.line, path, fmt::format("layer {} expert {} is given twice", slot.layer, slot.expert),
                           "each expert once a group");
    slots_.push_back(slot);
    room_ -= room_ > 0 ? 1 : 0;
  }
  [[nodiscard]] bool has_room(std::size_t more) const { return more <= room_; }
  [[nodiscard]] std::vector<ExpertSlot> take() { return std::move(slots_); }

 private:
  ProblemList& problems_;
  std::size_t& room_;
  std::set<ExpertSlot> seen_;
  std::vector<ExpertSlot> slots_;
};

/// A whole number, or "FIRST-LAST".
struct Span {
  std::uint32_t first = 0;
  std::uint32_t last = 0;
};

bool read_span(const YamlNode& node, const std::string& path, ProblemList& problems, std::uint32_t high, Span& out) {
  const std::size_t dash = node.kind == YamlNode::Kind::kScalar ? node.text.find('-', 1) : std::string::npos;
  if (dash == std::string::npos) {
    if (!read_count(node, path, problems, 0, high, out.first)) return false;
    out.last = out.first;
    return true;
  }
  const auto number = [](std::string_view text, std::uint32_t& value) {
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && rest == text.data() + text.size();
  };
  const std::string_view text = node.text;
  const bool read = number(text.substr(0, dash), out.first) && number(text.substr(dash + 1), out.last);
  if (!read || out.first > out.last || out.last > high) {
    problems.add(node.line, path, fmt::format("{} is given", node.describe()),
                 fmt::format("a whole number, or FIRST-LAST, from 0 to {}", high));
    return false;
  }
  return true;
}

void read_layer_experts(SectionReader& section, ProblemList& problems, Slots& out) {
  std::vector<Span> layers;
  std::uint32_t layer = 0;
  section.count("layer", 0, kMaxLayers - 1, layer);
  if (section.value("layers") == nullptr) layers.push_back({layer, layer});
  each_item(section, problems, "layers", "whole numbers or FIRST-LAST", [&](const YamlNode& item, const std::string& path) {
    if (Span span; read_span(item, path, problems, kMaxLayers - 1, span)) layers.push_back(span);
  });
  each_item(section, problems, "experts", "whole numbers or FIRST-LAST", [&](const YamlNode& item, const std::string& path) {
    Span experts;
    if (!read_span(item, path, problems, kMaxExperts - 1, experts)) return;
    for (const Span span : layers) {
      const std::size_t count = static_cast<std::size_t>(experts.last - experts.first + 1) * (span.last - span.first + 1);
      if (!out.has_room(count))
        return problems.add(item.line, path, "the file's groups have too many experts",
                            fmt::format("at most {} together", kMostGroupedExperts));
      for (std::uint32_t at = span.first; at <= span.last; ++at)
        for (std::uint32_t expert = experts.first; expert <= experts.last; ++expert) out.add(item, path, {at, expert});
    }
  });
}

void read_slot(const YamlNode& node, const std::string& path, ProblemList& problems, Slots& out) {
  if (node.kind == YamlNode::Kind::kMapping) {
    SectionReader section(node, path, problems);
    if (section.value("layers") == nullptr) section.require("layer", kLayerForm);
    section.require("experts", kLayerForm);
    read_layer_experts(section, problems, out);
    return section.finish();
  }
  if (node.kind != YamlNode::Kind::kSequence || node.items.size() != 2)
    return problems.add(node.line, path, fmt::format("{} is given", node.describe()), fmt::format("[LAYER, EXPERT], or {}", kLayerForm));
  ExpertSlot slot;
  const bool layer = read_count(node.items[0], item_path(path, 0), problems, 0, kMaxLayers - 1, slot.layer);
  const bool expert = read_count(node.items[1], item_path(path, 1), problems, 0, kMaxExperts - 1, slot.expert);
  if (layer && expert) out.add(node, path, slot);
}

}  // namespace

ExpertGroupConfig read_expert_group(SectionReader& section, const YamlNode& node, ProblemList& problems, std::size_t& room) {
  ExpertGroupConfig group;
  Slots slots(problems, room);
  section.text("name", group.name);
  section.choice("security", {"standard", "high"}, group.security);
  section.number("cost", {0, 1e6, true}, group.cost);
  each_item(section, problems, "slots", "[LAYER, EXPERT] pairs",
            [&](const YamlNode& item, const std::string& path) { read_slot(item, path, problems, slots); });
  const bool one = section.value("layer") != nullptr, several = section.value("layers") != nullptr;
  if (one && several) section.problem("layers", "layer is given, too", "one of layer and layers");
  if ((one || several) != (section.value("experts") != nullptr))
    problems.add(node.line, section.path(), "one of layer and experts is given without the other", kLayerForm);
  read_layer_experts(section, problems, slots);
  group.slots = slots.take();
  if (node.kind != YamlNode::Kind::kMapping) return group;

  section.require("name", "the name by which /route and the policy know the group");
  const bool odd = group.name.find_first_of(",\r\n\t") != std::string::npos;
  if (odd) section.problem("name", "the name has a comma or a control character", "text without them");
  if (group.slots.empty()) {
    const bool absent = section.value("slots") == nullptr && section.value("experts") == nullptr;
    section.problem("slots", absent ? "the key is missing" : "no expert is given", "a list of [LAYER, EXPERT] pairs, at least one");
  }
  return group;
}

void read_model_group(const YamlNode& node, const std::string& path, ProblemList& problems, std::vector<ExpertGroupConfig>& out) {
  SectionReader section(node, path, problems);
  std::size_t room = kMostGroupedExperts;
  for (const ExpertGroupConfig& other : out) room -= std::min(room, other.slots.size());
  ExpertGroupConfig group = read_expert_group(section, node, problems, room);
  section.finish();
  if (node.kind != YamlNode::Kind::kMapping) return;
  for (const ExpertGroupConfig& other : out)
    if (other.name == group.name && !group.name.empty())
      section.problem("name", fmt::format("a group {} is already given", group.name), "each name once");
  out.push_back(std::move(group));
}

}  // namespace flexpert::config
