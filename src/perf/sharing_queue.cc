#include "perf/sharing_queue.h"

#include <algorithm>

namespace flexpert::perf {

SharingQueue::SharingQueue(double tokens_per_s, double fixed, double each, double most) {
  seconds_per_token_ = fixed + each;
  if (!(tokens_per_s > 0)) return;
  constexpr double kTooLarge = 1e200, kNegligible = 1e-18;
  load_when_full_ = tokens_per_s * (fixed + each * most) / most;
  // Unnormalised probabilities of b sequences: each is the one before times arrivals over the speed with b.
  double weight = 1, sum = 1, first = 0, second = 0, nobody = 1;
  double b = 1;
  for (; b <= most; ++b) {
    const double ratio = tokens_per_s * (fixed + each * b) / b;
    weight *= ratio;
    sum += weight;
    first += b * weight;
    second += b * b * weight;
    if (weight > kTooLarge) {
      for (double* value : {&weight, &sum, &first, &second, &nobody}) *value /= kTooLarge;
    }
    if (ratio < 1 && weight < kNegligible * sum) break;
  }
  // With more the batch is full, and all weights have one ratio.
  const double waiting = b > most ? weight * load_when_full_ / std::max(1e-12, 1 - load_when_full_) : 0;
  const double all = sum + waiting;
  mean_ = (first + most * waiting) / all;
  variance_ = std::max(0.0, (second + most * most * waiting) / all - mean_ * mean_);
  empty_ = nobody / all;
  full_ = b > most ? (weight + waiting) / all : 0;
  seconds_per_token_ = std::max(fixed + each, mean_ / tokens_per_s);
}

}  // namespace flexpert::perf
