#include "forecast/residual_bounds.h"

#include <algorithm>
#include <cmath>

namespace flexpert::forecast {

void ResidualBounds::score(double value) {
  for (std::size_t i = 0; i < kHorizons.size(); ++i) {
    Track& track = tracks_[i];
    if (track.pending.size() < kHorizons[i]) continue;
    const double expected = track.pending.front();
    track.pending.erase(track.pending.begin());
    if (!std::isfinite(value)) continue;
    if (track.errors.size() == kErrors) track.errors.erase(track.errors.begin());
    track.errors.push_back(value - expected);
  }
}

void ResidualBounds::expect(const Forecast& forecast) {
  for (std::size_t i = 0; i < kHorizons.size(); ++i) tracks_[i].pending.push_back(forecast(kHorizons[i]));
}

std::vector<double> ResidualBounds::tracked_offsets(std::size_t track, std::span<const double> levels) const {
  std::vector<double> sorted = tracks_[track].errors;
  std::sort(sorted.begin(), sorted.end());
  std::vector<double> out(levels.size());
  for (std::size_t i = 0; i < levels.size(); ++i) {
    // The rank among n + 1: the next error is as likely to fall into any gap between those seen.
    const double rank = std::clamp(levels[i] * static_cast<double>(sorted.size() + 1) - 1, 0.0, static_cast<double>(sorted.size() - 1));
    const auto below = static_cast<std::size_t>(rank);
    const double part = rank - static_cast<double>(below);
    out[i] = part > 0 ? sorted[below] * (1 - part) + sorted[below + 1] * part : sorted[below];
  }
  return out;
}

std::vector<double> ResidualBounds::offsets(std::size_t horizon, std::span<const double> levels) const {
  std::size_t known = 0;  // tracks that have seen enough errors to be asked, or the first one
  while (known < kHorizons.size() && tracks_[known].errors.size() >= (known == 0 ? 1U : 10U)) ++known;
  if (known == 0) return std::vector<double>(levels.size(), 0.0);
  std::size_t above = 0;
  while (above < known && kHorizons[above] < horizon) ++above;
  if (above == known) {
    std::vector<double> out = tracked_offsets(known - 1, levels);
    const double growth = std::sqrt(static_cast<double>(horizon) / static_cast<double>(kHorizons[known - 1]));
    for (double& offset : out) offset *= growth;
    std::sort(out.begin(), out.end());
    return out;
  }
  std::vector<double> out = tracked_offsets(above, levels);
  if (kHorizons[above] == horizon || above == 0) return out;
  const std::vector<double> lower = tracked_offsets(above - 1, levels);
  const double from = std::sqrt(static_cast<double>(kHorizons[above - 1]));
  const double to = std::sqrt(static_cast<double>(kHorizons[above]));
  const double part = (std::sqrt(static_cast<double>(horizon)) - from) / (to - from);
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = lower[i] * (1 - part) + out[i] * part;
  std::sort(out.begin(), out.end());
  return out;
}

void ResidualBounds::save(StateWriter& writer) const {
  writer.tag("residual_bounds/1");
  for (const Track& track : tracks_) {
    writer.numbers(track.pending);
    writer.numbers(track.errors);
  }
}

void ResidualBounds::restore(StateReader& reader) {
  reader.tag("residual_bounds/1");
  for (std::size_t i = 0; i < kHorizons.size(); ++i) {
    tracks_[i].pending = reader.numbers();
    tracks_[i].errors = reader.numbers();
    if (tracks_[i].pending.size() > kHorizons[i]) reader.reject("fewer pending forecasts");
    if (tracks_[i].errors.size() > kErrors) reader.reject("fewer errors");
    for (const double error : tracks_[i].errors) {
      if (!std::isfinite(error)) reader.reject("finite errors");
    }
  }
}

}  // namespace flexpert::forecast
