// Forecasts against statsmodels 0.13.5, R forecast 8.20 and R prophet 1.0 on the same series (golden_forecast.json).
#include <algorithm>
#include <cmath>
#include <ctime>
#include <fstream>
#include <map>
#include <sstream>

#include <boost/json.hpp>

#include "figures.h"
#include "forecast/arima.h"
#include "forecast/auto_arima.h"
#include "forecast/holt_winters.h"
#include "forecast/kalman.h"
#include "forecast/kpss.h"
#include "forecast/prophet.h"

namespace {

using namespace flexpert;
using namespace flexpert::forecast;
namespace json = boost::json;

constexpr double kStart = 1704067200;  // 2024-01-01T00:00:00Z, the first time of the golden series

/// NaN for what is no number ("Inf" and the like are text there).
double number(const json::value& value) { return value.is_number() ? value.to_number<double>() : std::nan(""); }

double number(const json::object& object, const char* key) {
  const json::value* value = object.if_contains(key);
  return value == nullptr ? std::nan("") : number(*value);
}

std::vector<double> numbers(const json::value& value) {
  std::vector<double> out;
  for (const json::value& each : value.as_array()) out.push_back(number(each));
  return out;
}

/// The golden file as an object; its bare NaN are read as null.
Result<json::object> read_golden(const std::string& path) {
  std::ifstream file(path);
  if (!file) return fail(ErrorCode::kNotFound, "no such file: {}", path);
  std::stringstream text;
  text << file.rdbuf();
  std::string all = text.str();
  for (std::size_t at = 0; (at = all.find(": NaN", at)) != std::string::npos;) all.replace(at, 5, ": null");
  for (std::size_t at = 0; (at = all.find(":NaN", at)) != std::string::npos;) all.replace(at, 4, ":null");
  boost::system::error_code error;
  const json::value parsed = json::parse(all, error);
  if (error || !parsed.is_object()) return fail(ErrorCode::kDataLoss, "{}: not JSON: {}", path, error.message());
  return parsed.as_object();
}

struct Tally {
  int cases = 0;
  int within = 0;
  double worst = 0;
};

class Table {
 public:
  /// Counts a case whose largest deviation is `off`; one beyond `tolerance` is printed with `detail`.
  void add(const std::string& group, const std::string& series, double off, double tolerance, const std::string& detail) {
    Tally& tally = tallies_[group];
    ++tally.cases;
    const bool within = off <= tolerance;
    if (within) ++tally.within;
    if (!std::isnan(off)) tally.worst = std::max(tally.worst, off);
    if (!within) fmt::print("  off: {} of {}: by {:.3g} (tolerance {:.3g}); {}\n", group, series, off, tolerance, detail);
  }
  void print() const {
    fmt::print("{:<24} {:>6} {:>7} {:>7} {:>11}\n", "group", "cases", "within", "share", "worst");
    for (const auto& [group, tally] : tallies_) {
      const double share = 100.0 * tally.within / tally.cases;
      fmt::print("{:<24} {:>6} {:>7} {:>6.1f}% {:>11.3g}\n", group, tally.cases, tally.within, share, tally.worst);
    }
  }
  /// Sums the groups whose names start so.
  [[nodiscard]] Tally sum(const std::vector<std::string>& prefixes) const {
    Tally out;
    for (const auto& [group, tally] : tallies_) {
      if (std::none_of(prefixes.begin(), prefixes.end(), [&](const std::string& prefix) { return group.starts_with(prefix); })) continue;
      out.cases += tally.cases;
      out.within += tally.within;
    }
    return out;
  }

 private:
  std::map<std::string, Tally> tallies_;
};

/// The largest deviation relative to the golden value.
double deviation(const std::vector<double>& ours, const std::vector<double>& golden) {
  double out = 0;
  for (std::size_t i = 0; i < golden.size(); ++i) {
    const double off = std::abs(ours[i] - golden[i]) / std::max(std::abs(golden[i]), 1e-9);
    out = std::isnan(off) ? off : std::max(out, off);
  }
  return out;
}

std::string last_of(const std::vector<double>& ours, const std::vector<double>& golden) {
  return fmt::format("{} steps ahead {:.8g}, golden {:.8g}", golden.size(), ours[golden.size() - 1], golden.back());
}

std::vector<double> forecasts(const ArimaFilter& filter, std::size_t steps) { return filter.forecast(steps); }

std::vector<double> forecasts(const SmoothingFit& model, std::size_t steps) {
  std::vector<double> out;
  for (std::size_t h = 1; h <= steps; ++h) out.push_back(model.forecast(h));
  return out;
}

void check_smoothing(const std::string& series, const std::vector<double>& y, const json::object& golden, Table& table) {
  for (const std::string group : {"ses", "holt", "holt_damped", "hw_add"}) {
    const json::value* found = golden.if_contains(group);
    if (found == nullptr) continue;
    const json::object& expected = found->as_object();
    SmoothingShape shape{.trend = group != "ses", .damped = group == "holt_damped", .season = Season::kNone, .period = 0};
    if (group == "hw_add") {
      shape.season = Season::kAdditive;
      shape.period = static_cast<std::size_t>(number(expected, "period"));
    }
    const std::vector<double> values =
        group == "ses" ? std::vector<double>{number(expected, "forecast1")} : numbers(expected.at("forecast6"));
    const auto fit = fit_smoothing(shape, y);
    if (!fit) {
      table.add("statsmodels " + group, series, std::nan(""), 0.005, fit.error().message);
      continue;
    }
    const auto ours = forecasts(*fit, values.size());
    const double sse = number(expected, "sse");
    table.add("statsmodels " + group, series, deviation(ours, values), 0.005,
              fmt::format("{}; squared errors {:.8g}, golden {:.8g}{}", last_of(ours, values), fit->sse, sse,
                          fit->sse < sse ? ": it stopped at a worse fit than ours" : ""));
  }
}

void check_kalman(const std::string& series, const std::vector<double>& y, const json::object& golden, Table& table) {
  TrendFilter plain{TrendNoise{}};
  TrendFilter logs{TrendNoise{}};
  for (const double value : y) {
    plain.observe(value);
    logs.observe(std::log1p(value));
  }
  const std::vector<double> ours = {plain.forecast(1), std::expm1(logs.forecast(1))};
  const std::vector<double> expected = {number(golden, "kalman_q1_0.1_r10_next"), number(golden, "kalman_log1p_q1_0.1_r10_next")};
  table.add("statsmodels kalman", series, deviation({ours[0]}, {expected[0]}), 0.005, last_of({ours[0]}, {expected[0]}));
  table.add("statsmodels kalman_log", series, deviation({ours[1]}, {expected[1]}), 0.005, last_of({ours[1]}, {expected[1]}));
}

/// A straight line has no noise: its likelihood grows without bound, and each program stops where its rounding does.
bool is_line(const std::vector<double>& y) {
  for (std::size_t i = 2; i < y.size(); ++i) {
    if (y[i] - y[i - 1] != y[1] - y[0]) return false;
  }
  return true;
}

void check_arima(const std::string& series, const std::vector<double>& y, const json::object& golden, Table& table) {
  for (const auto& [key, value] : golden) {
    const std::string group(key);
    if (!group.starts_with("arima") || group.size() != 8 || !value.is_object()) continue;
    const json::object& expected = value.as_object();
    ArimaOrder order;
    order.p = static_cast<std::size_t>(group[5] - '0');
    order.d = static_cast<std::size_t>(group[6] - '0');
    order.q = static_cast<std::size_t>(group[7] - '0');
    order.constant = expected.at("params").as_object().contains("const");
    const std::vector<double> values = numbers(expected.at("forecast6"));
    const double likelihood = number(expected, "llf");
    const std::string likelihoods = (is_line(y) ? "no maximum: llf " : "llf ") + group;
    const auto fit = fit_arima(y, order);
    if (!fit) {
      table.add("statsmodels " + group, series, std::nan(""), 0.005, fit.error().message);
      table.add(likelihoods, series, std::nan(""), 0.01, fit.error().message);
      continue;
    }
    const auto ours = forecasts(filter_series(*fit, y), values.size());
    const bool better = fit->log_likelihood > likelihood + 0.01;
    const std::string both = fmt::format("{}; log-likelihood {:.6f}, golden {:.6f}{}", last_of(ours, values), fit->log_likelihood,
                                         likelihood, better ? ": it stopped at a worse fit than ours" : "");
    table.add("statsmodels " + group, series, deviation(ours, values), 0.005, both);
    table.add(likelihoods, series, std::abs(fit->log_likelihood - likelihood), 0.01, both);
  }
}

void check_kpss(const std::string& series, const std::vector<double>& y, const json::object& golden, Table& table) {
  const json::object& expected = golden.at("kpss_c_legacy").as_object();
  const auto lags = static_cast<std::size_t>(number(expected, "lags"));
  const KpssTest ours = kpss_level_test(y, lags);
  const double statistic = number(expected, "stat");
  const bool both_none = std::isnan(statistic) && std::isnan(ours.statistic);
  const double off = both_none ? 0 : std::max(std::abs(ours.statistic - statistic), std::abs(ours.p_value - number(expected, "p")));
  table.add("kpss", series, kpss_legacy_lags(y.size()) == lags ? off : std::nan(""), 1e-6,
            fmt::format("statistic {:.8g}, golden {:.8g}; lags {}, golden {}", ours.statistic, statistic, kpss_legacy_lags(y.size()),
                        lags));
}

/// The parts of the curve: the trend ahead, and the weights of a day's sines and cosines in units of the scale.
void check_curve(const std::string& series, const ProphetFit& fit, const std::vector<double>& trend, const json::object& golden,
                 Table& table) {
  const json::value* expected = golden.if_contains("trend6") != nullptr ? golden.if_contains("trend6") : golden.if_contains("trend8");
  if (expected != nullptr) {
    table.add("curve trend", series, deviation(trend, numbers(*expected)), 0.01, last_of(trend, numbers(*expected)));
  }
  const json::value* weights = golden.if_contains("beta");
  if (weights == nullptr) return;
  double off = 0;
  for (std::size_t i = 0; i < fit.beta.size(); ++i) off = std::max(off, std::abs(fit.beta[i] - numbers(*weights)[i]));
  table.add("curve daily weights", series, off, 1e-3, "largest difference of a weight");
}

void check_prophet(const std::string& series, const std::vector<double>& y, double step_s, const json::object& golden, const char* key,
                   Table& table) {
  std::vector<double> times;
  for (std::size_t i = 0; i < y.size(); ++i) times.push_back(kStart + static_cast<double>(i) * step_s);
  const std::vector<double> expected = numbers(golden.at(key));
  for (const ProphetSearch search : {ProphetSearch::kAsProphet, ProphetSearch::kMaximum}) {
    const std::string group = search == ProphetSearch::kAsProphet ? "prophet" : "at the maximum: prophet";
    const auto fit = fit_prophet(times, y, search);
    if (!fit) {
      table.add(group, series, std::nan(""), 0.01, fit.error().message);
      continue;
    }
    std::vector<double> ours;
    std::vector<double> trend;
    for (std::size_t h = 0; h < expected.size(); ++h) {
      const double time_s = kStart + static_cast<double>(y.size() + h) * step_s;
      ours.push_back(fit->forecast(time_s));
      trend.push_back(fit->trend(time_s));
    }
    if (search == ProphetSearch::kAsProphet) check_curve(series, *fit, trend, golden, table);
    table.add(group, series, deviation(ours, expected), 0.01,
              fmt::format("{}; growth {:.5g}, golden {:.5g}; noise {:.5g}, golden {:.5g}", last_of(ours, expected), fit->k,
                          number(golden, "k"), fit->sigma_obs, number(golden, "sigma_obs")));
  }
}

void check_r(const std::string& series, const std::vector<double>& y, const json::object& golden, Table& table) {
  const json::object& expected = golden.at("auto_arima").as_object();
  const std::vector<double> values = numbers(expected.at("forecast6"));
  const std::vector<double> order = numbers(expected.at("order"));
  const ArimaFit fit = auto_arima(y);
  const auto ours = forecasts(filter_series(fit, y), values.size());
  table.add("auto_arima", series, deviation(ours, values), 0.01,
            fmt::format("{}; order ({}, {}, {}), golden ({}, {}, {})", last_of(ours, values), fit.order.p, fit.order.d, fit.order.q,
                        order[0], order[1], order[2]));
  const auto differences = static_cast<double>(differences_by_kpss(y, 2));
  table.add("kpss ndiffs", series, std::abs(differences - number(golden, "kpss_ndiffs")), 0, fmt::format("ours {}", differences));
  check_prophet(series, y, 180, golden.at("prophet_step180").as_object(), "forecast6", table);
}

double thread_ms() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) * 1e-6;
}

/// The least time of 100 runs.
template <class Work>
double least_ms(const Work& work) {
  double least = HUGE_VAL;
  for (int i = 0; i < 100; ++i) {
    const double start = thread_ms();
    work();
    least = std::min(least, thread_ms() - start);
  }
  return least;
}

struct Window {
  std::string name;
  std::vector<double> values;
  std::size_t evaluations = 0;
  double least = 0;  ///< ms
};

/// Of all windows of 100 values of all series, those eight are measured whose choice takes the most likelihoods.
Window slowest_window(const json::object& series) {
  constexpr std::size_t kLength = 100;
  constexpr std::size_t kMeasured = 8;
  std::vector<Window> windows;
  for (const auto& [key, value] : series) {
    const std::vector<double> y = numbers(value);
    for (std::size_t i = 0; i + kLength <= y.size(); ++i) {
      Window window{.name = fmt::format("{} from {}", std::string(key), i), .values = {&y[i], &y[i] + kLength}};
      window.evaluations = auto_arima(window.values).evaluations;
      windows.push_back(std::move(window));
    }
  }
  std::stable_sort(windows.begin(), windows.end(), [](const Window& a, const Window& b) { return a.evaluations > b.evaluations; });
  windows.resize(std::min(windows.size(), kMeasured));
  for (Window& window : windows) window.least = least_ms([&] { (void)select_order(window.values); });
  return *std::max_element(windows.begin(), windows.end(), [](const Window& a, const Window& b) { return a.least < b.least; });
}

void measure_speed(const json::object& golden, bench::Figures& figures) {
  const json::object& series = golden.at("series").as_object();
  const std::vector<double> hundred = numbers(series.at("walk100"));
  const double walk_ms = least_ms([&] { (void)select_order(hundred); });
  figures.hold("arima_order_100", walk_ms, "ms", "<= 5 (CPU, least of 100)", walk_ms <= 5);
  std::vector<double> cycle = numbers(series.at("ar1_120"));
  cycle.resize(100);
  const double order_ms = least_ms([&] { (void)select_order(cycle); });
  figures.hold("arima_order_ar1_100", order_ms, "ms", "<= 5 (CPU, least of 100)", order_ms <= 5);
  const Window hardest = slowest_window(series);
  figures.hold("arima_order_slowest_100 (" + hardest.name + ")", hardest.least, "ms", "<= 5 (CPU, least of 100)", hardest.least <= 5);
  const std::vector<double> daily = numbers(golden.at("r").as_object().at("prophet_daily_3d").as_object().at("y"));
  std::vector<double> times;
  for (std::size_t i = 0; i < daily.size(); ++i) times.push_back(kStart + static_cast<double>(i) * 900);
  const double prophet_ms = least_ms([&] { (void)fit_prophet(times, daily); });
  figures.hold("prophet_288_daily", prophet_ms, "ms", "<= 10 (CPU, least of 100)", prophet_ms <= 10);
}

void hold_share(bench::Figures& figures, const std::string& figure, const Tally& tally, double bar) {
  const double share = tally.cases == 0 ? 0 : 100.0 * tally.within / tally.cases;
  figures.hold(fmt::format("{} ({} of {})", figure, tally.within, tally.cases), share, "%", fmt::format(">= {}", bar), share >= bar);
}

Result<void> measure(const std::string& folder, bench::Figures& figures) {
  FLEXPERT_ASSIGN(const json::object golden, read_golden(folder + "/golden/golden_forecast.json"));
  Table table;
  for (const auto& [key, value] : golden.at("statsmodels").as_object()) {
    const std::string name(key);
    const std::vector<double> y = numbers(golden.at("series").as_object().at(key));
    check_arima(name, y, value.as_object(), table);
    check_smoothing(name, y, value.as_object(), table);
    check_kalman(name, y, value.as_object(), table);
    check_kpss(name, y, value.as_object(), table);
  }
  for (const auto& [key, value] : golden.at("r").as_object()) {
    const std::string name(key);
    if (name == "prophet_daily_3d") {
      const json::object& daily = value.as_object();
      check_prophet(name, numbers(daily.at("y")), number(daily, "step_s"), daily, "forecast8", table);
    } else {
      check_r(name, numbers(golden.at("series").as_object().at(key)), value.as_object(), table);
    }
  }
  table.print();
  hold_share(figures, "statsmodels_forecasts", table.sum({"statsmodels "}), 95);
  hold_share(figures, "log_likelihood", table.sum({"llf "}), 95);
  const Tally lines = table.sum({"no maximum: "});
  figures.note("log_likelihood_of_lines_within", lines.within, fmt::format("of {} (unbounded, not held)", lines.cases));
  const Tally maximum = table.sum({"at the maximum: "});
  figures.note("prophet_at_the_maximum_within", maximum.within, fmt::format("of {}", maximum.cases));
  hold_share(figures, "auto_arima_and_prophet", table.sum({"auto_arima", "prophet"}), 90);
  hold_share(figures, "kpss", table.sum({"kpss"}), 100);
  measure_speed(golden, figures);
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  const std::string method =
      "every case of golden_forecast.json: forecasts within 0.5 % (statsmodels) or 1 % (R), log-likelihood within 0.01; each "
      "deviating case is listed";
  return flexpert::bench::run_folder_measurement(argc, argv, "forecast-golden", method, measure);
}
