#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "auth/policy_rules.h"
#include "fleet/expert_set.h"

namespace flexpert::auth {

/// What an identity may do with one model.
struct ModelRight {
  ExpertSet forbidden;              ///< experts never to be computed for it; empty = unrestricted
  std::vector<std::string> groups;  ///< the model's groups that it may use, in the policy's order
  std::string digest;               ///< of tenant-independent rights: equal digests may share KV blocks and cached answers of one tenant
  /// What a token costs on average, if the router chose evenly among the experts that it may use: the mean over the layers that
  /// groups of the model name, each taken to have the experts 0 to the highest that any of them names. An expert of several groups
  /// costs what the dearest says; one that no group names costs 1, as does a model without groups.
  double cost = 1;
  [[nodiscard]] bool restricted() const { return !forbidden.empty(); }
};

/// What one set of roles may do with every model. Immutable; safe from any thread.
class ModelRights {
 public:
  /// Unites `roles` over `groups`. `digest` may be null, as in Policy::compile().
  ModelRights(std::span<const Role* const> roles, const std::vector<ExpertGroup>& groups, std::string (*digest)(std::string_view));

  /// Returns the right on `model`; null: none. At most 200 ns whatever the length of the name.
  [[nodiscard]] const ModelRight* find(std::string_view model) const;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  std::unordered_map<std::string, ModelRight, Hash, std::equal_to<>> exact_;  ///< models that a rule or a group names
  std::vector<std::string> prefixes_;  ///< sorted, none beginning with another; "" matches all
  ModelRight ungrouped_;  ///< on models without groups, which is all that only patterns name
  std::size_t longest_ = 0;
};

/// Tells whether `pattern` ("NAME", "PREFIX*" or "*") covers `model`.
bool covers(std::string_view pattern, std::string_view model);

}  // namespace flexpert::auth
