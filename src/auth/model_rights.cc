#include "auth/model_rights.h"

#include <algorithm>
#include <set>
#include <utility>

namespace flexpert::auth {
namespace {

bool has(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// What roles give and take, united.
struct United {
  std::set<std::string, std::less<>> opened;
  std::set<std::string, std::less<>> denied;

  explicit United(std::span<const Role* const> roles) {
    for (const Role* role : roles) {
      opened.insert(role->expert_groups.begin(), role->expert_groups.end());
      denied.insert(role->denied_expert_groups.begin(), role->denied_expert_groups.end());
    }
  }
  [[nodiscard]] bool may_use(const ExpertGroup& group) const {
    return !denied.contains(group.name) && (group.level == SecurityLevel::kStandard || opened.contains(group.name));
  }
};

/// The whole of a right as text. Names have their length before them, so that none can pass for something else.
std::string text_of(const ModelRight& right) {
  std::string text = "rights 1\nforbidden";
  for (const ExpertSlot slot : right.forbidden.slots()) fmt::format_to(std::back_inserter(text), " {}:{}", slot.layer, slot.expert);
  text += "\ngroups";
  std::vector<std::string> sorted = right.groups;
  std::sort(sorted.begin(), sorted.end());
  for (const std::string& name : sorted) fmt::format_to(std::back_inserter(text), " {}:{}", name.size(), name);
  return text;
}

/// ModelRight::cost.
double cost_of_token(std::string_view model, const std::vector<ExpertGroup>& groups, const ExpertSet& forbidden) {
  std::vector<std::pair<ExpertSlot, double>> named;
  std::uint32_t experts = 0;
  for (const ExpertGroup& group : groups) {
    if (group.model != model) continue;
    for (const ExpertSlot slot : group.slots) {
      named.emplace_back(slot, group.cost);
      experts = std::max(experts, slot.expert + 1);
    }
  }
  // The dearest of an expert's groups comes first.
  std::sort(named.begin(), named.end(),
            [](const auto& a, const auto& b) { return a.first != b.first ? a.first < b.first : a.second > b.second; });
  double sum = 0;
  std::size_t layers = 0;
  for (std::size_t i = 0; i < named.size();) {
    const std::uint32_t layer = named[i].first.layer;
    double cost = 0;
    std::uint32_t usable = experts;
    std::uint32_t plain = experts;  // that no group names
    for (; i < named.size() && named[i].first.layer == layer; ++i) {
      if (i > 0 && named[i].first == named[i - 1].first) continue;
      --plain;
      if (forbidden.contains(named[i].first)) --usable;
      else cost += named[i].second;
    }
    if (usable == 0) continue;  // nothing runs there: the model server refuses such rights
    sum += (cost + plain) / usable;
    ++layers;
  }
  return layers == 0 ? 1 : sum / static_cast<double>(layers);
}

ModelRight right_on(std::string_view model, const std::vector<ExpertGroup>& groups, const United& united) {
  std::vector<ExpertSlot> forbidden;
  for (const ExpertGroup& group : groups)
    if (group.model == model && !united.may_use(group)) forbidden.insert(forbidden.end(), group.slots.begin(), group.slots.end());
  ModelRight right{.forbidden = ExpertSet(std::move(forbidden)), .groups = {}, .digest = {}};
  right.cost = cost_of_token(model, groups, right.forbidden);
  const auto is_forbidden = [&](ExpertSlot slot) { return right.forbidden.contains(slot); };
  for (const ExpertGroup& group : groups)
    if (group.model == model && std::none_of(group.slots.begin(), group.slots.end(), is_forbidden)) right.groups.push_back(group.name);
  return right;
}

}  // namespace

bool covers(std::string_view pattern, std::string_view model) {
  if (!pattern.ends_with('*')) return pattern == model;
  return model.starts_with(pattern.substr(0, pattern.size() - 1));
}

ModelRights::ModelRights(std::span<const Role* const> roles, const std::vector<ExpertGroup>& groups,
                         std::string (*digest)(std::string_view)) {
  const auto seal = [&](ModelRight right) {
    right.digest = digest == nullptr ? text_of(right) : digest(text_of(right));
    return right;
  };
  std::vector<std::string> names;
  for (const Role* role : roles) {
    for (const std::string& pattern : role->models) {
      if (!pattern.ends_with('*')) {
        names.push_back(pattern);
      } else if (std::string prefix = pattern.substr(0, pattern.size() - 1); !has(prefixes_, prefix)) {
        prefixes_.push_back(std::move(prefix));
      }
    }
  }
  const auto covered = [&](std::string_view model) {
    return std::any_of(roles.begin(), roles.end(), [&](const Role* role) {
      return std::any_of(role->models.begin(), role->models.end(), [&](const std::string& pattern) { return covers(pattern, model); });
    });
  };
  for (const ExpertGroup& group : groups)
    if (covered(group.model)) names.push_back(group.model);

  const United united(roles);
  ungrouped_ = seal({});
  for (std::string& name : names) {
    if (exact_.contains(name)) continue;
    longest_ = std::max(longest_, name.size());
    ModelRight right = seal(right_on(name, groups, united));
    exact_.emplace(std::move(name), std::move(right));
  }
  // A prefix of another one adds nothing to it: which pattern covers a model without groups makes no difference.
  std::sort(prefixes_.begin(), prefixes_.end());
  std::vector<std::string> needed;
  for (std::string& prefix : prefixes_)
    if (needed.empty() || !prefix.starts_with(needed.back())) needed.push_back(std::move(prefix));
  prefixes_ = std::move(needed);
}

const ModelRight* ModelRights::find(std::string_view model) const {
  // What a client names may have any length; only what can be there is hashed.
  if (model.size() <= longest_)
    if (const auto found = exact_.find(model); found != exact_.end()) return &found->second;
  const auto after = std::upper_bound(prefixes_.begin(), prefixes_.end(), model);
  return after != prefixes_.begin() && model.starts_with(*std::prev(after)) ? &ungrouped_ : nullptr;
}

}  // namespace flexpert::auth
