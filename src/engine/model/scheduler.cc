#include "engine/model/scheduler.h"

#include <algorithm>

#include "base/check.h"

namespace flexpert::engine {

std::uint32_t Scheduler::blocks_for(const Sequence& sequence) const {
  return cache_->blocks_for(static_cast<std::uint32_t>(sequence.request.prompt.size()) + sequence.request.max_tokens);
}

std::uint64_t Scheduler::tokens_to_come() const {
  std::uint64_t tokens = 0;
  for (const auto& sequence : waiting_) tokens += sequence->request.max_tokens;
  for (const auto& sequence : running_) tokens += sequence->request.max_tokens - std::min(sequence->generated, sequence->request.max_tokens);
  return tokens;
}

std::uint32_t Scheduler::most_blocks_waited_for() const {
  std::uint32_t most = 0;
  for (const auto& sequence : waiting_) most = std::max(most, blocks_for(*sequence));
  return most;
}

std::vector<std::unique_ptr<Sequence>> Scheduler::take_late(TimePoint now) {
  std::vector<std::unique_ptr<Sequence>> late;
  for (auto& sequence : waiting_)
    if (sequence->request.deadline && *sequence->request.deadline <= now) late.push_back(std::move(sequence));
  if (!late.empty()) std::erase(waiting_, nullptr);
  return late;
}

void Scheduler::admit() {
  while (!waiting_.empty() && running_.size() < max_batch_) {
    Sequence& next = *waiting_.front();
    const std::uint32_t blocks = blocks_for(next);
    if (!cache_->can_allocate(blocks)) return;
    next.blocks = cache_->allocate(blocks);
    running_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
}

std::vector<Scheduler::Work> Scheduler::plan() const {
  std::vector<Work> work;
  std::uint32_t room = max_step_tokens_;
  for (const auto& sequence : running_) {
    if (sequence->left() != 1 || room == 0) continue;
    work.push_back({sequence.get(), 1});
    --room;
  }
  for (const auto& sequence : running_) {
    if (sequence->left() == 1 || room == 0) continue;
    work.push_back({sequence.get(), std::min(room, sequence->left())});
    room -= work.back().tokens;
  }
  return work;
}

std::vector<std::unique_ptr<Sequence>> Scheduler::take(const std::string& id) {
  std::vector<std::unique_ptr<Sequence>> taken;
  const auto take_from = [&](auto& list) {
    for (auto& sequence : list)
      if (sequence->request.id == id) taken.push_back(std::move(sequence));
    std::erase(list, nullptr);
  };
  take_from(running_);
  take_from(waiting_);
  for (const auto& sequence : taken) cache_->release(sequence->blocks);
  return taken;
}

std::unique_ptr<Sequence> Scheduler::take(const Sequence* sequence) {
  const auto at = std::find_if(running_.begin(), running_.end(), [&](const auto& one) { return one.get() == sequence; });
  FLEXPERT_CHECK(at != running_.end(), "a sequence that does not run has finished");
  std::unique_ptr<Sequence> taken = std::move(*at);
  running_.erase(at);
  cache_->release(taken->blocks);
  return taken;
}

std::vector<std::unique_ptr<Sequence>> Scheduler::take_all() {
  std::vector<std::unique_ptr<Sequence>> taken = std::move(running_);
  running_.clear();
  for (const auto& sequence : taken) cache_->release(sequence->blocks);
  for (auto& sequence : waiting_) taken.push_back(std::move(sequence));
  waiting_.clear();
  return taken;
}

}  // namespace flexpert::engine
