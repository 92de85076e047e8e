#include <csignal>
#include <cstdio>

#include <boost/json.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "codec/expert_counts_json.h"
#include "flexpert/place.h"
#include "flexpert/place_json.h"
#include "flexpert/place_recorder.h"
#include "flexpert/place_screen.h"
#include "flexpert/place_source.h"
#include "net/event_loop.h"
#include "net/signals.h"
#include "report/live_view.h"
#include "report/placement_tables.h"

namespace flexpert::app {

namespace {

/// Waits on a loop of its own while a bar shows how far it has come. Ctrl-C ends it early.
class RecordingTime {
 public:
  explicit RecordingTime(Duration all)
      : all_(all),
        signals_(loop_, {SIGINT, SIGTERM}, [this](int) { interrupted_ = true; }),
        bar_(stderr, report::Terminal::of(STDERR_FILENO), "recording"),
        start_(loop_.now()) {}

  [[nodiscard]] bool interrupted() const { return interrupted_; }

  /// Waits until `at` after the start.
  void wait_until(Duration at) {
    loop_.run_once(Duration(0));
    while (!interrupted_ && loop_.now() - start_ < at) {
      const Duration left = at - (loop_.now() - start_);
      const net::TimerId timer = loop_.call_after(std::min<Duration>(left, Milliseconds(200)), [] {});
      loop_.run_once(Seconds(1));
      loop_.cancel(timer);
      bar_.update(static_cast<std::size_t>(std::min(1.0, to_seconds(loop_.now() - start_) / to_seconds(all_)) * 1000), 1000);
    }
  }
  void finish(const std::string& line) { bar_.finish(line); }

 private:
  Duration all_;
  bool interrupted_ = false;
  net::EventLoop loop_;
  net::SignalWatcher signals_;
  report::ProgressBar bar_;
  TimePoint start_;
};

Result<std::vector<ExpertCounts>> record_windows(EngineRecorder& recorder, const PlaceOptions& options) {
  RecordingTime time(from_seconds(options.seconds));
  std::vector<ExpertCounts> windows;
  for (std::uint32_t window = 0; window < options.windows && !time.interrupted(); ++window) {
    FLEXPERT_TRY(recorder.begin_window());
    time.wait_until(from_seconds(options.seconds * (window + 1) / options.windows));
    FLEXPERT_ASSIGN(ExpertCounts counts, recorder.end_window());
    if (!windows.empty() && windows.front().geometry != counts.geometry)
      return fail(ErrorCode::kFailedPrecondition, "engine counts {} layers x {} experts now, {} x {} before: it serves another model",
                  counts.geometry.layers, counts.geometry.experts, windows.front().geometry.layers, windows.front().geometry.experts);
    windows.push_back(std::move(counts));
  }
  time.finish(fmt::format("recorded {} of {} windows{}", windows.size(), options.windows, time.interrupted() ? ", ended early" : ""));
  return windows;
}

Result<void> record(const PlaceOptions& options) {
  const auto address = engine_address(options.counts);
  if (!address) return fail(ErrorCode::kInvalidArgument, "an engine is named as http://HOST:PORT or unix:PATH, not \"{}\"", options.counts);
  if (!*address) return fail(address->error());
  FLEXPERT_ASSIGN(const auto recorder, make_engine_recorder(**address, options));
  FLEXPERT_ASSIGN(const std::vector<ExpertCounts> windows, record_windows(*recorder, options));
  FLEXPERT_TRY(write_place_bytes(options.output, codec::write_count_steps_json(windows)));
  double rows = 0;
  std::uint64_t tokens = 0;
  for (const ExpertCounts& window : windows) {
    for (const double count : window.count) rows += count;
    tokens += window.tokens;
  }
  const ExpertGeometry geometry = windows.front().geometry;
  if (rows == 0) std::fputs("no token was routed meanwhile: the counts are all zero\n", stderr);
  if (options.json) {
    print_json({{"windows", windows.size()},
                {"layers", geometry.layers},
                {"experts", geometry.experts},
                {"tokens", tokens},
                {"expert_rows", rows},
                {"file", options.output.c_str()}});
  } else if (options.output != "-") {
    say("{} layers x {} experts, {} windows, {} choices of experts: {}\n", geometry.layers, geometry.experts, windows.size(),
               report::grouped(static_cast<std::uint64_t>(rows)), options.output);
  }
  return {};
}

}  // namespace

int run_place_record(const PlaceOptions& options) {
  if (options.json && options.output == "-")
    return fail_with("place record", "--json and -o - both write to stdout: give one of them", kExitUsage);
  if (options.via == "loads" && !options.dump_folder.empty())
    return fail_with("place record", "--dump-dir goes with --via sglang", kExitUsage);
  if (auto recorded = record(options); !recorded) return fail_with("place record", recorded.error());
  return kExitOk;
}

}  // namespace flexpert::app
