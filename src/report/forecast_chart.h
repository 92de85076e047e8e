#pragma once

#include <string>
#include <vector>

namespace flexpert::report {

/// What is drawn of one series: the past, and from its end on what is expected.
struct ForecastChart {
  double start_s = 0;             ///< time of the first value
  double step_s = 60;
  std::vector<double> values;     ///< NaN: a gap
  std::vector<double> mean;       ///< of the steps that follow
  std::vector<double> levels;     ///< ascending, in (0, 1)
  std::vector<std::vector<double>> bounds;  ///< for each level, as many as `mean`
};

/// Draws the past, the mean and the bounds as SVG: nested bands where levels pair up around 0.5, lines elsewhere. Of a long
/// past only the part that leaves the forecast legible is drawn: eight times as long, at least 48 values. Colours come from the page's
/// style sheet.
std::string forecast_chart(const ForecastChart& chart);

/// Returns a level's name: "p90", "p99.9".
std::string level_name(double level);
/// Returns a span of time as people write it: "45 s", "10 min", "6 h", "2 d 4 h".
std::string span_text(double seconds);

}  // namespace flexpert::report
