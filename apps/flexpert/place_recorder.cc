#include "flexpert/place_recorder.h"

#include <filesystem>
#include <set>

#include "flexpert/place_counts.h"
#include "flexpert/place_engine.h"
#include "http/client.h"
#include "net/event_loop.h"

namespace flexpert::app {

namespace {

namespace fs = std::filesystem;

/// Differences of cumulative counters.
class LoadsRecorder final : public EngineRecorder {
 public:
  explicit LoadsRecorder(net::Address address) : address_(std::move(address)) {}

  Result<void> begin_window() override {
    if (last_) return {};  // where the window before ended
    FLEXPERT_ASSIGN(last_, engine_counts(address_));
    return {};
  }

  Result<ExpertCounts> end_window() override {
    FLEXPERT_ASSIGN(ExpertCounts now, engine_counts(address_));
    if (now.geometry != last_->geometry) return now;
    ExpertCounts window = now;
    for (std::size_t i = 0; i < window.count.size(); ++i) {
      if (window.count[i] < last_->count[i])
        return fail(ErrorCode::kFailedPrecondition, "engine's counters went back: it was restarted meanwhile; record again: {}",
                    address_.to_string());
      window.count[i] -= last_->count[i];
    }
    window.tokens -= std::min(window.tokens, last_->tokens);
    last_ = std::move(now);
    return window;
  }

 private:
  net::Address address_;
  std::optional<ExpertCounts> last_;
};

/// SGLang's three endpoints. Its dump is a file on the engine's machine; an engine that answers a dump with JSON counts
/// spares that.
class SglangRecorder final : public EngineRecorder {
 public:
  SglangRecorder(net::Address address, const PlaceOptions& options) : address_(std::move(address)), options_(options) {}

  Result<void> begin_window() override {
    FLEXPERT_ASSIGN(before_, dumps());
    FLEXPERT_TRY(post("/start_expert_distribution_record"));
    return {};
  }

  Result<ExpertCounts> end_window() override {
    FLEXPERT_TRY(post("/stop_expert_distribution_record"));
    FLEXPERT_ASSIGN(const std::string body, post("/dump_expert_distribution_record"));
    if (body.find("\"logical_count\"") != std::string::npos) return parse_counts({"the engine's dump", "", body}, options_);
    if (options_.dump_folder.empty())
      return fail(ErrorCode::kFailedPrecondition,
                  "the engine wrote its dump to a folder of its own (SGLANG_EXPERT_DISTRIBUTION_RECORDER_DIR, /tmp by default): name it "
                  "with --dump-dir, or convert the file "
                  "with `flexpert place convert`");
    return read_new_dump();
  }

 private:
  Result<std::string> post(const std::string& target) {
    http::Request request;
    request.method = "POST";
    request.target = target;
    auto answer = http::fetch(address_, std::move(request), Seconds(60));
    if (!answer) return fail(answer.error());
    if (answer->status != 200)
      return fail(ErrorCode::kUnavailable, "engine answered HTTP {}: {}{}: {}", answer->status, address_.to_string(), target,
                  answer->body.substr(0, 200));
    return std::move(answer->body);
  }

  Result<std::set<std::string>> dumps() const {
    std::set<std::string> names;
    if (options_.dump_folder.empty()) return names;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(options_.dump_folder, error))
      if (entry.path().extension() == ".pt") names.insert(entry.path().string());
    if (error) return fail(ErrorCode::kNotFound, "--dump-dir cannot be read: {}: {}", options_.dump_folder, error.message());
    return names;
  }

  /// The engine answers before its file is whole: a file counts when it reads, and for a while that is tried again.
  Result<ExpertCounts> read_new_dump() {
    net::EventLoop loop;
    const TimePoint end = loop.now() + Seconds(30);
    Result<ExpertCounts> read = fail(ErrorCode::kNotFound, "no new .pt file within 30 s in --dump-dir: {}", options_.dump_folder);
    for (;;) {
      FLEXPERT_ASSIGN(const std::set<std::string> now, dumps());
      for (const std::string& name : now)
        if (!before_.contains(name)) {
          read = read_counts(name, options_);
          if (read) return read;
        }
      if (loop.now() >= end) return read;
      const net::TimerId timer = loop.call_after(Milliseconds(200), [] {});
      loop.run_once(Seconds(1));
      loop.cancel(timer);
    }
  }

  net::Address address_;
  const PlaceOptions& options_;
  std::set<std::string> before_;
};

}  // namespace

Result<std::unique_ptr<EngineRecorder>> make_engine_recorder(const net::Address& address, const PlaceOptions& options) {
  if (options.via != "sglang") {
    auto counts = engine_counts(address);
    if (counts) return std::make_unique<LoadsRecorder>(address);
    if (options.via == "loads" || counts.error().code != ErrorCode::kNotFound) return fail(counts.error());
  }
  return std::make_unique<SglangRecorder>(address, options);
}

}  // namespace flexpert::app
