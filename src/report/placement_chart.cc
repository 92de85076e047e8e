#include "report/placement_chart.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include <fmt/format.h>

namespace flexpert::report {

namespace {

constexpr double kWidth = 1120;
constexpr double kHeight = 260;
constexpr double kLeft = 46;
constexpr double kRight = 12;
constexpr double kTop = 14;
constexpr double kBottom = 30;

double bound_of(const LayerBalance& layer) { return layer.lower_bound > 0 ? std::min(1.0, layer.mean_load / layer.lower_bound) : 1.0; }

/// The vertical axis: from a round number below everything shown, up to 1.
struct Axis {
  double least = 0;
  double step = 0.1;

  [[nodiscard]] double y(double value) const { return kTop + (1 - value) / (1 - least) * (kHeight - kTop - kBottom); }
};

Axis axis_for(const Balance& after, const Balance* before) {
  double least = 1;
  for (const LayerBalance& layer : after.layers) least = std::min({least, layer.balancedness(), bound_of(layer)});
  if (before != nullptr)
    for (const LayerBalance& layer : before->layers) least = std::min(least, layer.balancedness());
  const double range = std::max(1 - least, 0.001);
  Axis axis;
  for (const double step : {0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2}) {
    axis.step = step;
    if (range / step <= 5) break;
  }
  axis.least = std::max(0.0, 1 - std::ceil(range / axis.step + 0.2) * axis.step);
  return axis;
}

}  // namespace

std::string balance_chart(const Balance& after, const Balance* before) {
  const std::size_t layers = after.layers.size();
  if (layers == 0) return {};
  if (before != nullptr && before->layers.size() != layers) before = nullptr;
  const Axis axis = axis_for(after, before);
  const double column = (kWidth - kLeft - kRight) / static_cast<double>(layers);
  const double radius = std::clamp(column / 4, 2.0, 4.5);
  std::string svg =
      fmt::format("<svg class=\"chart\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"Balancedness of each layer\">\n", kWidth, kHeight);
  auto out = std::back_inserter(svg);
  const int decimals = axis.step < 0.001 ? 4 : axis.step < 0.01 ? 3 : 2;
  for (int i = 0; 1 - i * axis.step >= axis.least - 1e-9; ++i) {
    const double value = 1 - i * axis.step;
    fmt::format_to(out, "<line class=\"grid\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>", kLeft, kWidth - kRight,
                   axis.y(value), axis.y(value));
    fmt::format_to(out, "<text class=\"tick end\" x=\"{:.1f}\" y=\"{:.1f}\">{:.{}f}</text>\n", kLeft - 8, axis.y(value) + 4, value,
                   decimals);
  }
  const std::size_t every = std::max<std::size_t>(1, (layers + 19) / 20);
  for (std::size_t l = 0; l < layers; ++l) {
    const double x = kLeft + column * (static_cast<double>(l) + 0.5);
    const double now = axis.y(after.layers[l].balancedness());
    const double bound = bound_of(after.layers[l]);
    fmt::format_to(out, "<g><title>layer {}: plan {:.4f}, bound {:.4f}", l, after.layers[l].balancedness(), bound);
    if (before != nullptr) fmt::format_to(out, ", before {:.4f}", before->layers[l].balancedness());
    fmt::format_to(out, "</title><rect class=\"hit\" x=\"{:.1f}\" y=\"{}\" width=\"{:.1f}\" height=\"{}\"/>", x - column / 2, kTop, column,
                   kHeight - kTop - kBottom);
    if (before != nullptr) {
      const double then = axis.y(before->layers[l].balancedness());
      fmt::format_to(out, "<line class=\"change\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1:.1f}\" y2=\"{2:.1f}\"/>", x, then, now);
      fmt::format_to(out, "<circle class=\"before\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:.1f}\"/>", x, then, radius);
    }
    fmt::format_to(out, "<line class=\"bound\" x1=\"{0:.1f}\" x2=\"{1:.1f}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/>", x - column * 0.4,
                   x + column * 0.4, axis.y(bound));
    fmt::format_to(out, "<circle class=\"after\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:.1f}\"/></g>\n", x, now, radius);
    if (l % every == 0) fmt::format_to(out, "<text class=\"tick middle\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n", x, kHeight - 10, l);
  }
  return svg + "</svg>\n";
}

}  // namespace flexpert::report
