#include "placement/recorder.h"

#include <algorithm>
#include <array>
#include <utility>

namespace flexpert::placement {
namespace {

constexpr std::uint64_t kMaxBufferBytes = std::uint64_t{1} << 30;

constexpr std::array kModes = {RecorderMode::kStat, RecorderMode::kStatApprox, RecorderMode::kPerPass, RecorderMode::kPerToken};

std::size_t steps_in_ring(const RecorderOptions& options) {
  if (options.buffer_steps == 0) return 0;
  if (options.mode == RecorderMode::kStat) return options.buffer_steps;
  if (options.mode == RecorderMode::kStatApprox) return std::max<std::size_t>(options.buffer_steps / options.sample_every, 1);
  return 0;
}

}  // namespace

const char* name_of(RecorderMode mode) {
  switch (mode) {
    case RecorderMode::kStat: return "stat";
    case RecorderMode::kStatApprox: return "stat_approx";
    case RecorderMode::kPerPass: return "per_pass";
    case RecorderMode::kPerToken: return "per_token";
  }
  return "unknown";
}

Result<RecorderMode> parse_recorder_mode(std::string_view name) {
  for (const RecorderMode mode : kModes)
    if (name == name_of(mode)) return mode;
  return fail(ErrorCode::kInvalidArgument, "unknown recorder mode: \"{}\"; use stat, stat_approx, per_pass or per_token", name);
}

Result<void> validate(const RecorderOptions& options, const ExpertGeometry& geometry) {
  if (geometry.layers == 0 || geometry.experts == 0)
    return fail(ErrorCode::kInvalidArgument, "a recorder needs layers and experts: got {} layers, {} experts", geometry.layers,
                geometry.experts);
  if (geometry.experts >= kNoExpert)
    return fail(ErrorCode::kInvalidArgument, "a recorder takes fewer than {} experts a layer: got {}", kNoExpert, geometry.experts);
  if (options.sample_every == 0)
    return fail(ErrorCode::kInvalidArgument, "sample_every must be at least 1 (every step is counted): got 0");
  if (options.mode == RecorderMode::kPerToken && options.max_tokens == 0)
    return fail(ErrorCode::kInvalidArgument, "max_tokens must be at least 1 in mode per_token: got 0");
  if (options.part_tokens > 0 && (options.parts == 0 || options.parts > 4096))
    return fail(ErrorCode::kInvalidArgument, "parts of a window must be from 1 to 4096: got {}", options.parts);
  const std::uint64_t steps = options.mode == RecorderMode::kStat || options.mode == RecorderMode::kStatApprox ? steps_in_ring(options)
                                                                                                                : options.buffer_steps;
  const std::uint64_t step_bytes = geometry.size() * sizeof(std::uint32_t);
  if (steps > kMaxBufferBytes / step_bytes)
    return fail(ErrorCode::kInvalidArgument,
                "a buffer of {} steps would take over 1 GiB at {} layers x {} experts; at most {} steps fit", options.buffer_steps,
                geometry.layers, geometry.experts,
                kMaxBufferBytes / step_bytes * (options.mode == RecorderMode::kStatApprox ? options.sample_every : 1));
  return {};
}

Recorder::Recorder(ExpertGeometry geometry, RecorderOptions options)
    : geometry_(geometry), options_(options), rng_(options.seed), step_count_(geometry.size()), layer_tokens_(geometry.layers) {
  if (options_.mode == RecorderMode::kPerToken) layer_experts_.resize(geometry_.layers);
  ring_capacity_ = steps_in_ring(options_);
  if (options_.part_tokens > 0) part_count_.resize(geometry_.size());
}

void Recorder::start() {
  recording_ = true;
  in_step_ = false;
  steps_seen_ = 0;
  passed_over_ = 0;
  in_stratum_ = 0;
  sampled_ = 0;
  rng_ = Rng(options_.seed);
  for (Sum* sum : {&buffer_, &window_}) *sum = Sum{.count = std::vector<std::uint64_t>(geometry_.size())};
  ring_.clear();
  ring_tokens_.clear();
  ring_next_ = 0;
  steps_.clear();
  kept_tokens_ = 0;
  std::ranges::fill(part_count_, 0);
  part_tokens_ = 0;
  parts_seen_ = 0;
}

void Recorder::stop() {
  recording_ = false;
  in_step_ = false;
}

void Recorder::choose_sampled_step() {
  if (options_.mode != RecorderMode::kStatApprox || options_.sample_every == 1) {
    counted_ = true;
    return;
  }
  counted_ = in_stratum_ == sampled_;
  if (++in_stratum_ < options_.sample_every) return;
  in_stratum_ = 0;
  sampled_ = static_cast<std::uint32_t>(rng_.below(options_.sample_every));
}

void Recorder::begin_step(std::uint64_t step) {
  if (!recording_) return;
  if (!in_step_) choose_sampled_step();  // a step begun anew takes the place of the one broken off
  in_step_ = true;
  step_ = step;
  step_top_k_ = 0;
  if (counted_) std::ranges::fill(step_count_, 0);
  std::ranges::fill(layer_tokens_, 0);
  for (auto& experts : layer_experts_) experts.clear();
}

void Recorder::add_layer(std::uint32_t layer, std::span<const std::uint16_t> experts, std::uint32_t top_k) {
  if (!in_step_ || layer >= geometry_.layers || top_k == 0) return;
  layer_tokens_[layer] += static_cast<std::uint32_t>(experts.size() / top_k);
  step_top_k_ = std::max(step_top_k_, top_k);
  if (!counted_) return;
  const std::span count = std::span(step_count_).subspan(static_cast<std::size_t>(layer) * geometry_.experts, geometry_.experts);
  for (const std::uint16_t expert : experts)
    if (expert < geometry_.experts) ++count[expert];
  if (options_.mode == RecorderMode::kPerToken) layer_experts_[layer].insert(layer_experts_[layer].end(), experts.begin(), experts.end());
}

void Recorder::end_step() {
  if (!in_step_) return;
  in_step_ = false;
  ++steps_seen_;
  ++window_.steps;
  const std::uint32_t tokens = std::ranges::max(layer_tokens_);
  window_.seen_tokens += tokens;
  buffer_.seen_tokens += tokens;
  if (counted_)
    count_step(tokens);
  else
    passed_over_ += tokens;
}

void Recorder::count_step(std::uint32_t tokens) {
  for (Sum* sum : {&buffer_, &window_}) {
    for (std::size_t i = 0; i < step_count_.size(); ++i) sum->count[i] += step_count_[i];
    sum->counted_tokens += tokens;
  }
  if (options_.part_tokens > 0) add_to_part(tokens);
  const StepTokens step{.seen = std::exchange(passed_over_, 0) + tokens, .counted = tokens};
  if (options_.mode == RecorderMode::kPerPass || options_.mode == RecorderMode::kPerToken)
    keep_step(tokens);
  else if (ring_capacity_ > 0)
    keep_in_ring(step);
}

/// Adds the step to the part begun; a part that is whole takes its place in a uniform sample of the window's (reservoir).
void Recorder::add_to_part(std::uint32_t tokens) {
  for (std::size_t i = 0; i < step_count_.size(); ++i) part_count_[i] += step_count_[i];
  part_tokens_ += tokens;
  if (part_tokens_ < options_.part_tokens) return;
  const std::uint64_t place = parts_seen_ < options_.parts ? parts_seen_ : rng_.below(parts_seen_ + 1);
  ++parts_seen_;
  if (place == parts_.size()) {
    parts_.push_back(part_count_);
    parts_tokens_.push_back(part_tokens_);
  } else if (place < options_.parts) {
    std::ranges::copy(part_count_, parts_[place].begin());
    parts_tokens_[place] = part_tokens_;
  }
  std::ranges::fill(part_count_, 0);
  part_tokens_ = 0;
}

void Recorder::keep_in_ring(StepTokens tokens) {
  if (ring_tokens_.size() < ring_capacity_) {
    ring_.insert(ring_.end(), step_count_.begin(), step_count_.end());
    ring_tokens_.push_back(tokens);
    return;
  }
  const std::span row = std::span(ring_).subspan(ring_next_ * geometry_.size(), geometry_.size());
  for (std::size_t i = 0; i < row.size(); ++i) buffer_.count[i] -= row[i];
  buffer_.seen_tokens -= ring_tokens_[ring_next_].seen;
  buffer_.counted_tokens -= ring_tokens_[ring_next_].counted;
  std::ranges::copy(step_count_, row.begin());
  ring_tokens_[ring_next_] = tokens;
  ring_next_ = (ring_next_ + 1) % ring_capacity_;
}

void Recorder::keep_step(std::uint32_t tokens) {
  kept_tokens_ += tokens;
  while (!steps_.empty() && ((options_.buffer_steps > 0 && steps_.size() >= options_.buffer_steps) ||
                             (options_.mode == RecorderMode::kPerToken && kept_tokens_ > options_.max_tokens)))
    drop_oldest_step();
  spare_.step = step_;
  spare_.tokens = tokens;
  spare_.top_k = step_top_k_;
  spare_.count = step_count_;
  if (options_.mode == RecorderMode::kPerToken) collect_experts(tokens);
  steps_.push_back(std::move(spare_));
  spare_ = RecordedStep{};
}

void Recorder::drop_oldest_step() {
  spare_ = std::move(steps_.front());
  steps_.pop_front();
  for (std::size_t i = 0; i < spare_.count.size(); ++i) buffer_.count[i] -= spare_.count[i];
  buffer_.seen_tokens -= spare_.tokens;
  buffer_.counted_tokens -= spare_.tokens;
  kept_tokens_ -= spare_.tokens;
}

void Recorder::collect_experts(std::uint32_t tokens) {
  const std::size_t row = static_cast<std::size_t>(tokens) * step_top_k_;
  spare_.experts.assign(row * geometry_.layers, kNoExpert);
  for (std::uint32_t layer = 0; layer < geometry_.layers; ++layer) {
    const std::vector<std::uint16_t>& experts = layer_experts_[layer];
    std::ranges::transform(experts.begin(), experts.begin() + static_cast<std::ptrdiff_t>(std::min(experts.size(), row)),
                           spare_.experts.begin() + static_cast<std::ptrdiff_t>(layer * row),
                           [&](std::uint16_t expert) { return expert < geometry_.experts ? expert : kNoExpert; });
  }
}

void Recorder::write(const Sum& sum, ExpertCounts& counts) const {
  const double scale =
      sum.counted_tokens == 0 ? 0 : static_cast<double>(sum.seen_tokens) / static_cast<double>(sum.counted_tokens);
  counts.geometry = geometry_;
  counts.tokens = sum.counted_tokens == 0 ? 0 : sum.seen_tokens;
  counts.count.resize(geometry_.size());
  for (std::size_t i = 0; i < sum.count.size(); ++i) counts.count[i] = static_cast<double>(sum.count[i]) * scale;
  if (sum.count.empty()) std::ranges::fill(counts.count, 0.0);
}

ExpertCounts Recorder::counts() const {
  ExpertCounts counts;
  write(buffer_, counts);
  return counts;
}

void Recorder::take_window(ExpertCounts& counts) {
  write(window_, counts);
  std::ranges::fill(window_.count, 0);
  window_.steps = window_.seen_tokens = window_.counted_tokens = 0;
  std::ranges::fill(part_count_, 0);
  part_tokens_ = 0;
  parts_seen_ = 0;
}

void Recorder::take_window(RecordedWindow& window) {
  window.parts.resize(std::min<std::uint64_t>(parts_seen_, options_.parts));
  for (std::size_t i = 0; i < window.parts.size(); ++i) {
    window.parts[i].geometry = geometry_;
    window.parts[i].tokens = parts_tokens_[i];
    window.parts[i].count.assign(parts_[i].begin(), parts_[i].end());
  }
  take_window(window.counts);
}

}  // namespace flexpert::placement
