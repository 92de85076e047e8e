#include "flexpert/model_check.h"

namespace flexpert::app {

Result<void> check_against_checkpoint(const config::ModelConfig& model, const engine::Checkpoint& checkpoint) {
  const engine::ModelConfig& shape = checkpoint.config();
  for (const config::ExpertGroupConfig& group : model.groups)
    for (const ExpertSlot slot : group.slots)
      if (!shape.expert_geometry().contains(slot) || !shape.is_moe_layer(slot.layer))
        return fail(ErrorCode::kInvalidArgument,
                    "model.groups names an expert that the model does not have ({} layers of {} experts): {}: [{}, {}]", shape.num_layers,
                    shape.num_experts, group.name, slot.layer, slot.expert);
  return {};
}

Result<void> check_against_checkpoint(const auth::PolicyRules& rules, const config::ModelConfig& model,
                                      const engine::Checkpoint& checkpoint) {
  const engine::ModelConfig& shape = checkpoint.config();
  for (const auth::ExpertGroup& group : rules.groups)
    for (const ExpertSlot slot : group.slots)
      if (group.model == model.name && (!shape.expert_geometry().contains(slot) || !shape.is_moe_layer(slot.layer)))
        return fail(ErrorCode::kInvalidArgument,
                    "the policy's expert_groups name an expert that the model does not have ({} layers of {} experts): {}: [{}, {}]",
                    shape.num_layers, shape.num_experts, group.name, slot.layer, slot.expert);
  return {};
}

}  // namespace flexpert::app
