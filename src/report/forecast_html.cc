#include "report/forecast_html.h"

#include <iterator>

#include <fmt/format.h>

#include "report/html_text.h"

namespace flexpert::report {

namespace {

constexpr std::string_view kStyle = R"css(
:root { color-scheme: light dark;
  --paper: #fbfaf7; --card: #ffffff; --ink: #1b2228; --soft: #5c6770; --line: #e2e0da; --accent: #0b7a6b; --warn: #b4552a; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #12161a; --card: #1a2026; --ink: #e8e6e1; --soft: #98a3ac; --line: #2c343b; --accent: #4cc3b0; --warn: #ee9a6a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1200px; margin: 0 auto; padding: 40px 28px 80px; }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 18px; letter-spacing: -0.01em; overflow-wrap: anywhere; }
.panel { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 16px; margin: 12px 0; overflow-x: auto; }
.chart { display: block; width: 100%; height: auto; }
.chart .grid { stroke: var(--line); } .chart .tick { fill: var(--soft); font-size: 12px; } .chart .end { text-anchor: end; }
.chart .middle { text-anchor: middle; } .chart .now { stroke: var(--soft); stroke-dasharray: 3 4; }
.chart path { fill: none; stroke-linejoin: round; } .chart .past { stroke: var(--ink); stroke-width: 1.5; }
.chart .mean { stroke: var(--accent); stroke-width: 2.2; } .chart .dot { fill: var(--accent); }
.chart .band { fill: var(--accent); fill-opacity: 0.16; } .chart .level { stroke: var(--warn); stroke-width: 1.5; stroke-dasharray: 6 4; }
.key { display: flex; gap: 20px; flex-wrap: wrap; font-size: 13px; color: var(--soft); margin-bottom: 8px; }
.key svg { vertical-align: -1px; margin-right: 6px; }
table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; }
th { text-align: right; font-weight: 600; color: var(--soft); border-bottom: 1px solid var(--line); padding: 4px 14px; }
td { text-align: right; padding: 4px 14px; border-bottom: 1px solid var(--line); } tr:last-child td { border-bottom: 0; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 3px 18px; margin: 0; font-size: 14px; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
footer { margin-top: 40px; color: var(--soft); font-size: 13px; }
@media print { .panel { break-inside: avoid; } }
)css";

std::string swatch(std::string_view shape, std::string_view text) {
  return fmt::format("<span><svg class=\"chart\" style=\"display:inline;width:26px;height:10px\" viewBox=\"0 0 26 10\">{}</svg>{}</span>",
                     shape, html_escaped(text));
}

std::string key(const ForecastChart& chart) {
  std::string out = "<div class=\"key\">" + swatch("<path class=\"past\" d=\"M0 5H26\"/>", "the series") +
                    swatch("<path class=\"mean\" d=\"M0 5H26\"/>", "expected");
  std::string bands;
  std::string lines;
  for (const double level : chart.levels) {
    bool paired = false;
    for (const double other : chart.levels) paired = paired || (other != level && other + level > 1 - 1e-9 && other + level < 1 + 1e-9);
    if (paired && level < 0.5) bands += fmt::format("{}{} to {}", bands.empty() ? "" : ", ", level_name(level), level_name(1 - level));
    if (!paired) lines += (lines.empty() ? "" : ", ") + level_name(level);
  }
  if (!bands.empty()) out += swatch("<path class=\"band\" d=\"M0 0H26V10H0Z\"/>", bands);
  if (!lines.empty()) out += swatch("<path class=\"level\" d=\"M0 5H26\"/>", lines);
  return out + "</div>\n";
}

std::string table(const ForecastPage& page) {
  std::string out = "<table><thead><tr><th>ahead</th><th>mean</th>";
  auto into = std::back_inserter(out);
  for (const double level : page.chart.levels) fmt::format_to(into, "<th>{}</th>", level_name(level));
  out += "</tr></thead><tbody>\n";
  for (const ForecastRow& row : page.rows) {
    fmt::format_to(into, "<tr><td>{}</td><td>{:.4g}</td>", span_text(row.ahead_s), row.mean);
    for (const double bound : row.bounds) fmt::format_to(into, "<td>{:.4g}</td>", bound);
    out += "</tr>\n";
  }
  return out + "</tbody></table>\n";
}

}  // namespace

std::string forecast_html(const ForecastPage& page) {
  std::string facts;
  for (const auto& [name, text] : page.facts) facts += fmt::format("<dt>{}</dt><dd>{}</dd>\n", html_escaped(name), html_escaped(text));
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
      "<title>{0}</title><style>{1}</style></head><body><main>\n<h1>{0}</h1>\n<div class=\"panel\">{2}{3}</div>\n"
      "<div class=\"panel\">{4}</div>\n<div class=\"panel\"><dl>\n{5}</dl></div>\n"
      "<footer>Made by flexpert forecast. A level is the share of values that its bound is meant to "
      "cover.</footer>\n</main></body></html>\n",
      html_escaped(page.title), kStyle, key(page.chart), forecast_chart(page.chart), table(page), facts);
}

}  // namespace flexpert::report
