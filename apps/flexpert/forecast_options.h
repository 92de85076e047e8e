#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "codec/series_csv.h"

/// What `flexpert forecast` was asked to do: filled by forecast_command.cc.
namespace flexpert::app {

/// So far ahead: a number of steps, or a time.
struct ForecastHorizon {
  double amount = 0;
  bool is_time = false;  ///< `amount` is seconds
};

struct ForecastOptions {
  bool evaluate = false;
  std::vector<std::string> files;
  std::string column;
  std::optional<double> step_s;
  std::string missing = "auto";          ///< windows without a line: auto, gap or zero
  bool allow_negative = false;
  std::vector<std::string> predictors;   ///< empty: the default, or those of the table
  std::vector<ForecastHorizon> horizons = {{600, true}, {1800, true}, {3600, true}};
  std::vector<double> levels = {0.1, 0.5, 0.9};
  double level = 0.9;                    ///< of `evaluate`
  std::optional<std::uint32_t> warm_up;
  std::uint32_t stride = 1;
  std::string html;
  std::string save_state;
  std::string load_state;
  bool json = false;
};

/// "10m,1h,6": steps without a unit, else s, m, h or d. Stores them; returns "", or what is wrong.
std::string parse_horizons(const std::string& text, std::vector<ForecastHorizon>& horizons);
/// "0.1,0.9" or "p10,p90": sorted, in (0, 1).
std::string parse_levels(const std::string& text, std::vector<double>& levels);
/// Horizons as steps, ascending, each once: times round to the nearest step, at least one. Errors: a horizon beyond 100,000 steps.
Result<std::vector<std::size_t>> horizon_steps(const std::vector<ForecastHorizon>& horizons, double step_s);

/// Reads a file of a series (- is stdin); the message names it.
Result<codec::Series> read_series(const std::string& path, const ForecastOptions& options);

/// The series in words: "m_large.csv.gz: 1008 values of rate_rps, every 10 min, 7 d; ...".
std::string series_text(const std::string& path, const codec::Series& series);

int run_forecast_once(const ForecastOptions& options);
int run_forecast_evaluate(const ForecastOptions& options);

}  // namespace flexpert::app
