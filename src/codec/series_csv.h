#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

/// A series of load as comma-separated values: one line a time, `t_s,value`.
/// - Separators are comma, semicolon or tab, the same throughout; empty lines and lines that begin with # are skipped; a
///   first line of names is optional. Without names the columns are time and value.
/// - The time column is called t_s, t, time, time_s, timestamp or seconds (seconds), t_ms (milliseconds), minute or minutes.
///   The value column is called value; where there is only one other column, it is that. A file with more columns is
///   refused unless SeriesOptions::column picks one. Two forms are known besides: ServeGen's rates (`client`, `t_s`,
///   `rate_rps`) and the Azure week (`minute`, `req_per_min`).
/// - With a column `client`, values of the same time are summed over clients, and a window without any line is 0: nobody
///   sent anything. Elsewhere the same time twice is an error, and a missing window is a gap (NaN).
/// - Lines may come in any order. An empty value, "nan", "null" or "-" is a gap. Infinite values are refused, and negative
///   ones unless they are allowed.
/// - The step is the commonest distance between neighbouring times. Times within a quarter of a step of such a grid are
///   taken to lie on it; others are resampled: the mean of the values in each window of a step. A step that is asked for
///   and is longer than the file's resamples alike.
namespace flexpert::codec {

struct SeriesOptions {
  std::string column;                ///< name of the value column, or its number from 1; empty: by the rules above
  std::optional<double> step_s;      ///< empty: the file's
  std::optional<bool> missing_is_zero;  ///< what a window without a line is; empty: by the rules above
  bool allow_negative = false;
};

/// Equally spaced values.
struct Series {
  double start_s = 0;           ///< time of the first
  double step_s = 0;
  std::vector<double> values;   ///< NaN: a gap
  std::string column;           ///< that they are from
  std::vector<std::string> notes;  ///< what was done to the file's lines, in words: "12 windows without a line are gaps"
};

/// The longest series that is read, gaps included.
inline constexpr std::size_t kMaxSeriesValues = std::size_t{1} << 20;

/// Reads a series; bytes of a gzip file are unpacked. Errors: kInvalidArgument naming the line and column and what to do;
/// kDataLoss for a damaged gzip file; kResourceExhausted for more than 256 MiB unpacked.
Result<Series> parse_series_csv(std::string_view bytes, const SeriesOptions& options = {});

/// Writes `t_s,value`, gaps with an empty value, which parse_series_csv() reads back alike.
std::string write_series_csv(const Series& series);

}  // namespace flexpert::codec
