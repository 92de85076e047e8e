#pragma once

#include <string>
#include <utility>
#include <vector>

#include "report/forecast_chart.h"

namespace flexpert::report {

/// One line of the table below the chart.
struct ForecastRow {
  double ahead_s = 0;
  double mean = 0;
  std::vector<double> bounds;  ///< one for each of the chart's levels
};

/// One HTML page about a forecast: the chart, the table, what it was made from. Self-contained: no request leaves it, no
/// script; it works offline, in light and dark.
struct ForecastPage {
  std::string title;
  std::vector<std::pair<std::string, std::string>> facts;
  ForecastChart chart;
  std::vector<ForecastRow> rows;
};

/// Returns the page. All text is escaped. Precondition: every row has a bound for each level.
std::string forecast_html(const ForecastPage& page);

}  // namespace flexpert::report
