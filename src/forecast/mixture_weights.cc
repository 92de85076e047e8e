#include "forecast/mixture_weights.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace flexpert::forecast {

namespace {
constexpr double kAnchorPrior = 0.9;
constexpr double kFade = 0.998;
constexpr double kMostRegret = 4;   // in usual errors; more counts as this
constexpr double kMostRate = 0.25;
}  // namespace

MixtureWeights::MixtureWeights(std::size_t experts) : evidence_(experts, 0.0), energy_(experts, 0.0), weights_(experts, 0.0) { weigh(); }

double MixtureWeights::prior(std::size_t expert) const {
  return expert == 0 ? kAnchorPrior : (1 - kAnchorPrior) / static_cast<double>(std::max<std::size_t>(weights_.size(), 2) - 1);
}

double MixtureWeights::rate(std::size_t expert) const {
  return std::min(kMostRate, std::sqrt(-std::log(prior(expert)) / (1 + energy_[expert])));
}

double MixtureWeights::blend(std::span<const double> predictions) const {
  return std::inner_product(predictions.begin(), predictions.end(), weights_.begin(), 0.0);
}

void MixtureWeights::learn(std::span<const double> predictions, double blended, double outcome, double importance) {
  const double slope = blended > outcome ? 1 : blended < outcome ? -1 : 0;
  for (std::size_t i = 0; i < weights_.size(); ++i) {
    const double regret = std::clamp(importance * slope * (blended - predictions[i]), -kMostRegret, kMostRegret);
    energy_[i] = kFade * energy_[i] + regret * regret;
    evidence_[i] = kFade * evidence_[i] + regret - rate(i) * regret * regret;
  }
  weigh();
}

void MixtureWeights::weigh() {
  double largest = -1e300;
  for (std::size_t i = 0; i < weights_.size(); ++i) largest = std::max(largest, rate(i) * evidence_[i]);
  double total = 0;
  for (std::size_t i = 0; i < weights_.size(); ++i) {
    weights_[i] = prior(i) * rate(i) * std::exp(rate(i) * evidence_[i] - largest);
    total += weights_[i];
  }
  for (double& weight : weights_) weight /= total;
}

void MixtureWeights::save(StateWriter& writer) const {
  for (std::size_t i = 0; i < weights_.size(); ++i) {
    writer.number(evidence_[i]);
    writer.number(energy_[i]);
  }
}

void MixtureWeights::restore(StateReader& reader) {
  for (std::size_t i = 0; i < weights_.size(); ++i) {
    evidence_[i] = reader.number();
    energy_[i] = reader.number();
    if (!std::isfinite(evidence_[i]) || !(energy_[i] >= 0) || std::isinf(energy_[i])) reader.reject("finite evidence");
  }
  if (reader.ok()) weigh();
}

}  // namespace flexpert::forecast
