#include "loads.h"

#include <cmath>
#include <ctime>
#include <numeric>
#include <utility>

namespace flexpert::bench {

DriftingLoads::DriftingLoads(ExpertGeometry geometry, std::uint64_t seed, Law law)
    : geometry_(geometry), law_(law), rng_(seed), base_(geometry.size()), noise_(geometry.size()) {
  std::vector<std::uint32_t> order(geometry.experts);
  for (std::uint32_t layer = 0; layer < geometry.layers; ++layer) {
    std::iota(order.begin(), order.end(), 0U);
    for (std::uint32_t i = geometry.experts; i > 1; --i) std::swap(order[i - 1], order[rng_.below(i)]);
    for (std::uint32_t rank = 0; rank < geometry.experts; ++rank)
      base_[geometry.index({layer, order[rank]})] = std::pow(rank + 1 + law.q, -law.s);
  }
  for (double& value : noise_) value = normal();
}

double DriftingLoads::normal() {
  const double radius = std::sqrt(-2 * std::log1p(-rng_.uniform()));
  return radius * std::cos(6.283185307179586 * rng_.uniform());
}

ExpertCounts DriftingLoads::next() {
  ExpertCounts out{geometry_, std::vector<double>(geometry_.size()), law_.tokens};
  for (std::uint32_t layer = 0; layer < geometry_.layers; ++layer) {
    const std::size_t first = geometry_.index({layer, 0});
    double sum = 0;
    for (std::size_t i = first; i < first + geometry_.experts; ++i) sum += out.count[i] = base_[i] * std::exp(law_.sigma * noise_[i]);
    const double scale = static_cast<double>(law_.tokens) * law_.top_k / sum;
    for (std::size_t i = first; i < first + geometry_.experts; ++i) out.count[i] = std::round(out.count[i] * scale);
  }
  for (double& value : noise_) value = law_.ar1 * value + std::sqrt(1 - law_.ar1 * law_.ar1) * normal();
  return out;
}

double thread_cpu_ms() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) * 1e-6;
}

}  // namespace flexpert::bench
