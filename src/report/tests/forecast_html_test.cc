#include "report/forecast_html.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace flexpert::report {
namespace {

ForecastPage page() {
  ForecastPage page;
  page.title = "Forecast of <load>.csv";
  page.facts = {{"series", "a \"quoted\" & named one"}};
  page.chart = {.start_s = 0, .step_s = 600, .values = {1, 2, std::numeric_limits<double>::quiet_NaN(), 4}, .mean = {5, 6},
                .levels = {0.1, 0.9, 0.99}, .bounds = {{3, 3}, {7, 8}, {9, 11}}};
  page.rows = {{600, 5, {3, 7, 9}}, {1200, 6, {3, 8, 11}}};
  return page;
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

TEST(ForecastHtml, IsSelfContainedAndEscapesText) {
  const std::string html = forecast_html(page());
  EXPECT_EQ(count(html, "http"), 1U);  // http-equiv
  EXPECT_EQ(count(html, "<script"), 0U);
  EXPECT_EQ(count(html, "src="), 0U);
  EXPECT_EQ(count(html, "<load>"), 0U);
  EXPECT_EQ(count(html, "Forecast of &lt;load&gt;.csv"), 2U);
  EXPECT_EQ(count(html, "a &quot;quoted&quot; &amp; named one"), 1U);
}

TEST(ForecastHtml, ShowsEveryRowAndLevel) {
  const std::string html = forecast_html(page());
  EXPECT_EQ(count(html, "<tr><td>"), 2U);
  EXPECT_EQ(count(html, "<th>p99</th>"), 1U);
  EXPECT_EQ(count(html, "<td>20 min</td><td>6</td><td>3</td><td>8</td><td>11</td>"), 1U);
  EXPECT_EQ(count(html, "p10 to p90"), 2U);  // the key and the band
}

TEST(ForecastChart, PairsLevelsAsBandsAndDrawsTheOthersAsLines) {
  const std::string svg = forecast_chart(page().chart);
  EXPECT_EQ(count(svg, "class=\"band\""), 1U);
  EXPECT_EQ(count(svg, "class=\"level\""), 1U);
  EXPECT_EQ(count(svg, "class=\"mean\""), 1U);
  EXPECT_EQ(count(svg, "nan"), 0U);
  EXPECT_EQ(count(svg, "inf"), 0U);
}

TEST(ForecastChart, ALineIsBrokenAtGaps) {
  const std::string svg = forecast_chart(page().chart);
  const std::string past = svg.substr(svg.find("class=\"past\""));
  EXPECT_EQ(count(past.substr(0, past.find("/>")), "M"), 2U);
}

TEST(ForecastChart, OddSeriesAreDrawn) {
  ForecastChart flat{.start_s = 0, .step_s = 1, .values = std::vector<double>(5, 0.0), .mean = {0}, .levels = {}, .bounds = {}};
  EXPECT_EQ(count(forecast_chart(flat), "nan"), 0U);
  ForecastChart huge = flat;
  huge.values = {1e290, -1e290, 3};
  huge.mean = {1e290};
  EXPECT_EQ(count(forecast_chart(huge), "inf"), 0U);
  EXPECT_LT(forecast_chart(huge).size(), 20000U);
  EXPECT_EQ(forecast_chart({}), "");
}

TEST(ForecastChart, NamesSpansAndLevels) {
  EXPECT_EQ(span_text(45), "45 s");
  EXPECT_EQ(span_text(600), "10 min");
  EXPECT_EQ(span_text(5400), "1 h 30 min");
  EXPECT_EQ(span_text(187200), "2 d 4 h");
  EXPECT_EQ(level_name(0.9), "p90");
  EXPECT_EQ(level_name(0.999), "p99.9");
}

}  // namespace
}  // namespace flexpert::report
