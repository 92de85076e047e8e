#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "codec/series_csv.h"

/// The lines of a series file, before they become equally spaced. Private to series_csv.cc.
namespace flexpert::codec {

struct SeriesSample {
  double t_s = 0;
  double value = 0;        ///< NaN: a gap
  std::size_t line = 0;    ///< from 1
};

struct SeriesTable {
  std::vector<SeriesSample> samples;  ///< as in the file
  bool per_client = false;            ///< values of one time are to be summed
  std::string column;
};

/// Reads all lines. Errors as those of parse_series_csv().
Result<SeriesTable> read_series_table(std::string_view text, const SeriesOptions& options);

}  // namespace flexpert::codec
