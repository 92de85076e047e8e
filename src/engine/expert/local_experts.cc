#include <vector>

#include "base/check.h"
#include "engine/expert/group_compute.h"
#include "engine/expert/remote_experts.h"

namespace flexpert::engine {

struct LocalExperts::Impl {
  std::shared_ptr<const PackFile> pack;
  GroupCompute compute;
  std::vector<ComputeGroup> groups;
};

LocalExperts::LocalExperts(std::shared_ptr<const PackFile> pack, ComputePool& pool)
    : impl_(new Impl{std::move(pack), GroupCompute(pool), {}}) {}
LocalExperts::~LocalExperts() = default;

void LocalExperts::begin_step(std::uint64_t) {}

void LocalExperts::compute(const ExpertBatch& batch) {
  impl_->groups.clear();
  for (const ExpertGroup& group : batch.groups) {
    const ExpertWeights* weights = impl_->pack->expert({batch.layer, group.expert});
    FLEXPERT_CHECK(weights != nullptr, "the model asks for an expert that its pack file does not have");
    count_restricted(batch.masks, {batch.layer, group.expert}, group.rows);
    impl_->groups.push_back({weights, group.rows, group.out});
  }
  impl_->compute.run(batch.rows, batch.hidden, impl_->groups);
}

}  // namespace flexpert::engine
