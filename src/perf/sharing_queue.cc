#include "perf/sharing_queue.h"

#include <algorithm>
#include <cstddef>

namespace flexpert::perf {

SharingQueue::SharingQueue(double tokens_per_s, double fixed, double each, double most) {
  seconds_per_token_ = fixed + each;
  if (!(tokens_per_s > 0)) return;
  constexpr double kTooLarge = 1e200, kNegligible = 1e-18;
  load_when_full_ = tokens_per_s * (fixed + each * most) / most;
  // Unnormalised probabilities of b sequences: each is the one before times arrivals over the speed with b.
  double weight = 1, sum = 1, first = 0, b = 1;
  for (; b <= most; ++b) {
    const double ratio = tokens_per_s * (fixed + each * b) / b;
    weight *= ratio;
    sum += weight;
    first += b * weight;
    weights_.push_back(weight);
    if (weight > kTooLarge) {
      for (double* value : {&weight, &sum, &first}) *value /= kTooLarge;
      for (double& value : weights_) value /= kTooLarge;
    }
    if (ratio < 1 && weight < kNegligible * sum) break;
  }
  // With more the batch is full, and all weights have one ratio.
  const double waiting = b > most ? weight * load_when_full_ / std::max(1e-12, 1 - load_when_full_) : 0;
  all_ = sum + waiting;
  mean_ = (first + most * waiting) / all_;
  empty_ = weights_.front() / all_;
  full_ = b > most ? (weight + waiting) / all_ : 0;
  seconds_per_token_ = std::max(fixed + each, mean_ / tokens_per_s);
}

double SharingQueue::served_quantile(double p) const {
  double below = 0;
  for (std::size_t b = 0; b < weights_.size(); ++b) {
    const double with = below + weights_[b];
    // Between whole numbers in proportion, so that it moves smoothly with the load.
    if (with >= p * all_) return static_cast<double>(b) - (weights_[b] > 0 ? (with - p * all_) / weights_[b] : 0);
    below = with;
  }
  return static_cast<double>(weights_.size() - 1);
}

}  // namespace flexpert::perf
