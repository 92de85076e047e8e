#include "codec/series_csv.h"

#include <cmath>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "codec/gzip.h"

namespace flexpert::codec {
namespace {

std::string error_of(std::string_view text, const SeriesOptions& options = {}) {
  const auto series = parse_series_csv(text, options);
  return series ? "no error" : series.error().message;
}

std::string file(const std::string& name) {
  std::ifstream in(std::string(FLEXPERT_SOURCE_DIR) + "/data/traces/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST(SeriesCsv, ReadsTimesAndValuesWithAndWithoutNames) {
  for (const std::string_view text : {"t_s,value\n0,1\n600,2\n1200,4\n", "0,1\n600,2\n1200,4", "value;minute\r\n1;0\r\n2;10\r\n4;20\r\n"}) {
    const auto series = parse_series_csv(text);
    ASSERT_TRUE(series) << series.error().message;
    EXPECT_EQ(series->step_s, 600);
    EXPECT_EQ(series->values, (std::vector<double>{1, 2, 4}));
    EXPECT_TRUE(series->notes.empty());
  }
}

TEST(SeriesCsv, UnpacksGzip) {
  const auto packed = gzip("t_s,value\n0,1\n60,2\n");
  ASSERT_TRUE(packed);
  const auto series = parse_series_csv(*packed);
  ASSERT_TRUE(series);
  EXPECT_EQ(series->values.size(), 2U);
  EXPECT_FALSE(parse_series_csv(packed->substr(0, 25)));
}

TEST(SeriesCsv, SumsClientsAndCountsWindowsWithoutThemAsZero) {
  const auto series = parse_series_csv("client,t_s,rate_rps,iat_cv\na,0,1,9\na,600,2,9\nb,0,4,9\nb,1800,8,9\n");
  ASSERT_TRUE(series) << series.error().message;
  EXPECT_EQ(series->values, (std::vector<double>{5, 2, 0, 8}));
  EXPECT_EQ(series->column, "rate_rps");
}

TEST(SeriesCsv, ReadsTheServeGenAndAzureFiles) {
  const auto large = parse_series_csv(file("m_large_d0_6_rates.csv.gz"));
  ASSERT_TRUE(large) << large.error().message;
  EXPECT_EQ(large->step_s, 600);
  EXPECT_EQ(large->values.size(), 1008U);
  const auto azure = parse_series_csv(file("azure2024_conv_week_10min.csv"));
  ASSERT_TRUE(azure) << azure.error().message;
  EXPECT_EQ(azure->step_s, 600);
  EXPECT_EQ(azure->values.front(), 1540);
}

TEST(SeriesCsv, MissingWindowsAndEmptyValuesAreGaps) {
  const auto series = parse_series_csv("0,1\n60,\n120,3\n240,nan\n300,6\n");
  ASSERT_TRUE(series);
  ASSERT_EQ(series->values.size(), 6U);
  for (const std::size_t gap : {1U, 3U, 4U}) EXPECT_TRUE(std::isnan(series->values[gap])) << gap;
  const auto zeros = parse_series_csv("0,1\n60,2\n180,3\n", {.column = {}, .step_s = {}, .missing_is_zero = true, .allow_negative = false});
  ASSERT_TRUE(zeros);
  EXPECT_EQ(zeros->values, (std::vector<double>{1, 2, 0, 3}));
}

TEST(SeriesCsv, SortsLinesAndTakesJitterForTheGrid) {
  const auto series = parse_series_csv("t_s,value\n121,3\n0,1\n60,2\n180,4\n");
  ASSERT_TRUE(series);
  EXPECT_EQ(series->values, (std::vector<double>{1, 2, 3, 4}));
  ASSERT_EQ(series->notes.size(), 1U);
  EXPECT_TRUE(has(series->notes[0], "sorted"));
}

TEST(SeriesCsv, IrregularTimesAreAveragedOverWindows) {
  const auto series = parse_series_csv("0,2\n3,4\n10,6\n14,8\n31,1\n",
                                       {.column = {}, .step_s = 10, .missing_is_zero = {}, .allow_negative = false});
  ASSERT_TRUE(series) << series.error().message;
  ASSERT_EQ(series->values.size(), 4U);
  EXPECT_EQ(series->values[0], 3);
  EXPECT_EQ(series->values[1], 7);
  EXPECT_TRUE(std::isnan(series->values[2]));
  EXPECT_TRUE(has(series->notes[0], "averaged"));
}

TEST(SeriesCsv, ALongerStepThatIsAskedForAverages) {
  const auto series =
      parse_series_csv("0,1\n60,3\n120,5\n180,7\n", {.column = {}, .step_s = 120, .missing_is_zero = {}, .allow_negative = false});
  ASSERT_TRUE(series);
  EXPECT_EQ(series->values, (std::vector<double>{2, 6}));
}

TEST(SeriesCsv, MoreColumnsNeedAChoice) {
  constexpr std::string_view kText = "t_s,requests,tokens\n0,1,10\n60,2,20\n";
  EXPECT_TRUE(has(error_of(kText), "--column: t_s, requests, tokens"));
  for (const std::string column : {"tokens", "3"}) {
    const auto series = parse_series_csv(kText, {.column = column, .step_s = {}, .missing_is_zero = {}, .allow_negative = false});
    ASSERT_TRUE(series) << column;
    EXPECT_EQ(series->values, (std::vector<double>{10, 20}));
  }
  EXPECT_TRUE(has(error_of(kText, {.column = "cost", .step_s = {}, .missing_is_zero = {}, .allow_negative = false}), "no column \"cost\""));
}

TEST(SeriesCsv, ErrorsNameTheLine) {
  EXPECT_TRUE(has(error_of("0,1\n60,two\n"), "line 2: column value"));
  EXPECT_TRUE(has(error_of("0,1\nlater,2\n"), "line 2: the time"));
  EXPECT_TRUE(has(error_of("0,1\n60,-2\n"), "line 2: column value is negative"));
  EXPECT_TRUE(has(error_of("0,1\n60,inf\n"), "line 2: column value"));
  EXPECT_TRUE(has(error_of("0,1\n60,2,3\n"), "line 2: 3 columns"));
  EXPECT_TRUE(has(error_of("t_s,value\n0,1\n60,2\n60,3\n"), "lines 3 and 4 have the same time 60"));
  EXPECT_TRUE(has(error_of(""), "empty"));
  EXPECT_TRUE(has(error_of("t_s,value\n"), "no line of values"));
  EXPECT_TRUE(has(error_of("t_s,value\n0,1\n"), "--step"));
  EXPECT_TRUE(has(error_of("when,value\n0,1\n"), "no column is called t_s"));
  EXPECT_TRUE(has(error_of("0,1\n1,2\n2,2\n1000000000,3\n"), "line 4"));
  EXPECT_TRUE(has(error_of("0,\n60,\n"), "holds no value"));
}

TEST(SeriesCsv, WrittenSeriesAreReadBackAlike) {
  const auto series = parse_series_csv("0,1.25\n600,\n1200,3e-7\n2400,7\n");
  ASSERT_TRUE(series);
  const auto again = parse_series_csv(write_series_csv(*series));
  ASSERT_TRUE(again);
  ASSERT_EQ(again->values.size(), series->values.size());
  for (std::size_t i = 0; i < series->values.size(); ++i)
    EXPECT_TRUE(again->values[i] == series->values[i] || (std::isnan(again->values[i]) && std::isnan(series->values[i])));
}

}  // namespace
}  // namespace flexpert::codec
