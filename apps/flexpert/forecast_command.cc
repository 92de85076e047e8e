#include <memory>

#include "flexpert/described_command.h"
#include "flexpert/exit_codes.h"
#include "flexpert/forecast_options.h"
#include "flexpert/place_screen.h"
#include "forecast/evaluation_field.h"

namespace flexpert::app {

namespace {

Argument parsed(std::string name, std::string type, std::string default_text, std::string help,
                std::function<std::string(const std::string&)> take) {
  return {std::move(name), std::move(type), std::move(help), false, false, std::move(default_text), std::move(take)};
}

std::vector<std::string> known_predictors() {
  std::vector<std::string> out = forecast::predictor_names();
  for (const std::string& name : forecast::baseline_names()) out.push_back(name);
  return out;
}

Argument predictor(ForecastOptions& o, std::string help) {
  return {"--predictor", "NAME", std::move(help), false, true, "", [&o, known = known_predictors()](const std::string& given) {
            std::string names;
            for (const std::string& name : known) {
              if (name == given) {
                o.predictors.push_back(given);
                return std::string();
              }
              names += (names.empty() ? "" : ", ") + name;
            }
            return "needs one of " + names + ", not \"" + given + "\"";
          }};
}

Arguments series_arguments(ForecastOptions& o) {
  return {argument::text("--column", o.column, "the column of values, by name or number, where the file has more than two", "NAME"),
          argument::real("--step", o.step_s, 1e-3, 1e9, "seconds between values: averages a finer file (default: the file's own step)"),
          argument::choice("--missing", o.missing, {"auto", "gap", "zero"},
                           "what a window without a line is: gap, zero, or auto: zero in a file with clients, else gap"),
          argument::flag("--allow-negative", o.allow_negative, "take negative values, and expect them")};
}

Argument horizon(ForecastOptions& o) {
  return parsed("--horizon", "LIST", "10m,30m,1h", "how far ahead: times (s, m, h, d) or whole numbers of steps, with commas",
                [&o](const std::string& given) { return parse_horizons(given, o.horizons); });
}

DescribedVerb evaluate_verb(ForecastOptions& o) {
  DescribedVerb verb;
  verb.name = "evaluate";
  verb.help = "Compare predictors on recorded series, rolling origin";
  verb.arguments = {argument::required(argument::texts("files", o.files, "series (t_s,value as CSV, .gz too; - is stdin)", "FILE ..."))};
  for (Argument& one : series_arguments(o)) verb.arguments.push_back(std::move(one));
  verb.arguments.push_back(predictor(o, "compare this one; may be repeated (default: mixture, constant and the three baselines)"));
  verb.arguments.push_back(horizon(o));
  verb.arguments.push_back(argument::real("--level", o.level, 0.001, 0.999, "of the upper bound whose coverage is counted"));
  verb.arguments.push_back(argument::count("--warm-up", o.warm_up, 1, 1e9,
                                           "values seen before the first origin (default: two days, at most a quarter, at least 10)"));
  verb.arguments.push_back(argument::count("--stride", o.stride, 1, 1e6, "every so many values an origin: faster on long files"));
  verb.arguments.push_back(argument::flag("--json", o.json, "print JSON instead of tables"));
  verb.chosen = [&o] { o.evaluate = true; };
  verb.examples =
      "Examples:\n  flexpert forecast evaluate data/traces/m_large_d0_6_rates.csv.gz\n"
      "  flexpert forecast evaluate load.csv --horizon 5m,15m --predictor mixture --predictor arima --predictor constant\n"
      "  flexpert forecast evaluate week1.csv week2.csv --json";
  return verb;
}

}  // namespace

DescribedCommand forecast_command() {
  auto options = std::make_shared<ForecastOptions>();
  ForecastOptions& o = *options;
  DescribedCommand command;
  command.name = "forecast";
  command.help = "Forecast a series of load with bounds, or compare predictors on it (verb evaluate)";
  command.arguments = {argument::texts("file", o.files, "series: CSV t_s,value, .gz too; - is stdin", "FILE")};
  for (Argument& one : series_arguments(o)) command.arguments.push_back(std::move(one));
  command.arguments.push_back(predictor(o, "mixture (the default), or another; an unknown name lists them"));
  command.arguments.push_back(horizon(o));
  command.arguments.push_back(parsed("--levels", "LIST", "0.1,0.5,0.9", "bounds below which this share of values is meant to lie",
                                     [&o](const std::string& given) { return parse_levels(given, o.levels); }));
  command.arguments.push_back(argument::text("--html", o.html, "draw series, mean and bounds: one self-contained page", "FILE"));
  command.arguments.push_back(argument::text("--save-state", o.save_state, "write what the predictor knows after the file", "FILE"));
  command.arguments.push_back(
      argument::text("--load-state", o.load_state, "start from such a file; the series is what came after it", "FILE"));
  command.arguments.push_back(argument::flag("--json", o.json, "print JSON instead of a table"));
  command.verbs.push_back(evaluate_verb(o));
  command.examples =
      "Examples:\n  flexpert forecast load.csv\n  flexpert forecast data/traces/azure2024_conv_week_10min.csv --horizon 1h,6h,1d --html "
      "forecast.html\n"
      "  flexpert forecast load.csv --predictor holt_winters --levels p50,p90,p99 --json\n"
      "  flexpert forecast monday.csv --save-state monday.state && flexpert forecast tuesday.csv --load-state monday.state\n"
      "  flexpert forecast evaluate load.csv\nSee docs/forecast.md.";
  command.run = [options] { return end_of_output(options->evaluate ? run_forecast_evaluate(*options) : run_forecast_once(*options)); };
  return command;
}

}  // namespace flexpert::app
