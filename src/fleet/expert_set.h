#pragma once

#include <algorithm>
#include <vector>

#include "fleet/expert_slot.h"

namespace flexpert {

/// A set of logical experts, sorted, each once. For sets that are written once and asked often.
class ExpertSet {
 public:
  ExpertSet() = default;
  explicit ExpertSet(std::vector<ExpertSlot> slots) : slots_(std::move(slots)) {
    std::sort(slots_.begin(), slots_.end());
    slots_.erase(std::unique(slots_.begin(), slots_.end()), slots_.end());
  }
  [[nodiscard]] bool contains(ExpertSlot slot) const { return std::binary_search(slots_.begin(), slots_.end(), slot); }
  [[nodiscard]] bool empty() const { return slots_.empty(); }
  [[nodiscard]] const std::vector<ExpertSlot>& slots() const { return slots_; }
  bool operator==(const ExpertSet&) const = default;

 private:
  std::vector<ExpertSlot> slots_;
};

}  // namespace flexpert
