#include "engine/expert/held_answers.h"

#include <algorithm>
#include <utility>

namespace flexpert::engine {
namespace {

constexpr std::size_t kSpareBuffers = 8;
constexpr std::size_t kSpareBytes = 16U << 20;

}  // namespace

std::uint64_t HeldAnswers::queue_rows(TimePoint now) const {
  if (!paced() || busy_until_ <= now) return 0;
  return static_cast<std::uint64_t>(to_seconds(busy_until_ - now) * rows_per_s_);
}

expert_protocol::Bytes HeldAnswers::buffer() {
  if (spare_.empty()) return {};
  expert_protocol::Bytes buffer = std::move(spare_.back());
  spare_.pop_back();
  return buffer;
}

void HeldAnswers::hold(std::uint64_t connection, std::uint64_t correlation, TimePoint arrived, std::uint32_t rows,
                       expert_protocol::Bytes frame) {
  busy_until_ = std::max(arrived, busy_until_) + time_for(rows);
  held_.push_back({busy_until_, connection, correlation, std::move(frame)});
  if (held_.size() == 1) arm();
}

std::optional<std::size_t> HeldAnswers::cancel(std::uint64_t connection, std::uint64_t correlation) {
  const auto found = std::find_if(held_.begin(), held_.end(), [&](const Answer& answer) {
    return answer.connection == connection && answer.correlation == correlation;
  });
  if (found == held_.end()) return std::nullopt;
  const std::size_t bytes = found->frame.size();
  held_.erase(found);
  return bytes;
}

void HeldAnswers::release_due() {
  timer_ = 0;
  const TimePoint now = clock_.now();
  while (!held_.empty() && held_.front().due <= now) {
    Answer answer = std::move(held_.front());
    held_.pop_front();
    release_(answer);
    answer.frame.clear();
    if (spare_.size() < kSpareBuffers && answer.frame.capacity() <= kSpareBytes) spare_.push_back(std::move(answer.frame));
  }
  arm();
}

void HeldAnswers::arm() {
  loop_.cancel(std::exchange(timer_, 0));
  if (!held_.empty()) timer_ = loop_.call_after(held_.front().due - clock_.now(), [this] { release_due(); });
}

}  // namespace flexpert::engine
