#include "engine/expert/batch_frame.h"

#include <algorithm>
#include <cstring>

namespace flexpert::engine {
namespace {

constexpr std::uint32_t kAbsent = UINT32_MAX;
/// Headers, group table and instance name, generously.
constexpr std::size_t kFixedBytes = 8192;

}  // namespace

void BatchFrame::gather(const ExpertBatch& batch, std::span<BatchShare> shares) {
  std::sort(shares.begin(), shares.end(),
            [](const BatchShare& a, const BatchShare& b) { return a.group != b.group ? a.group < b.group : a.first < b.first; });
  batch_ = &batch;
  groups_.clear();
  rows_.clear();
  indices_.clear();
  place_of_.assign(batch.row_count, kAbsent);
  distinct_experts_ = 0;
  for (const BatchShare& share : shares) {
    const ExpertGroup& group = batch.groups[share.group];
    if (groups_.empty() || groups_.back().expert != group.expert) ++distinct_experts_;
    groups_.push_back({group.expert, share.count});
    for (const std::uint32_t row : group.rows.subspan(share.first, share.count)) {
      if (place_of_[row] == kAbsent) {
        place_of_[row] = static_cast<std::uint32_t>(rows_.size());
        rows_.push_back(row);
      }
      indices_.push_back(place_of_[row]);
    }
  }
}

bool BatchFrame::fits() const {
  const std::size_t row_bytes = batch_->hidden * sizeof(float);
  const std::size_t frame = rows_.size() * row_bytes + indices_.size() * sizeof(std::uint32_t) + groups_.size() * sizeof(groups_[0]);
  return std::max(frame, indices_.size() * row_bytes) + kFixedBytes <= expert_protocol::kDefaultMaxPayload;
}

void BatchFrame::write(expert_protocol::Bytes& out, std::uint64_t correlation, std::string_view instance) const {
  const auto frame = expert_protocol::begin_batch(out, correlation,
                                                  {.layer = batch_->layer,
                                                   .step = batch_->step,
                                                   .hidden = batch_->hidden,
                                                   .row_count = static_cast<std::uint32_t>(rows_.size()),
                                                   .groups = groups_,
                                                   .row_indices = indices_,
                                                   .rows = {},
                                                   .instance = instance});
  const std::size_t hidden = batch_->hidden;
  for (std::size_t i = 0; i < rows_.size(); ++i)
    std::memcpy(frame.floats.data() + i * hidden, batch_->rows.data() + rows_[i] * hidden, hidden * sizeof(float));
  expert_protocol::finish_frame(out, frame);
}

}  // namespace flexpert::engine
