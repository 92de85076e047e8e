#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "codec/gateway_report.h"
#include "gateway/load_report_meter.h"
#include "telemetry/metrics.h"

namespace flexpert::gateway {

class RequestLoad;

/// What this gateway sees of each model's requests: for the controller's sensors, and as metrics of its own. Belongs to the
/// loop's thread and outlives its requests.
class LoadReport {
 public:
  LoadReport(telemetry::Registry& registry, const Clock& clock, std::string name);
  LoadReport(const LoadReport&) = delete;
  LoadReport& operator=(const LoadReport&) = delete;

  /// Calls `listener` when a first request of a model begins to be held.
  void on_demand(std::function<void()> listener) { on_demand_ = std::move(listener); }
  /// Returns everything as of now, under the next sequence number.
  [[nodiscard]] codec::GatewayReport report(std::size_t connections);
  [[nodiscard]] std::uint64_t held() const;
  /// Bytes of the requests that are held.
  [[nodiscard]] std::uint64_t held_bytes() const { return held_bytes_; }
  void rename(std::string name) { name_ = std::move(name); }
  /// From now on reports say that this gateway drains.
  void leave() { leaving_ = true; }

 private:
  friend class RequestLoad;
  struct Model {
    codec::GatewayModelLoad counts;
    TimePoint changed;               ///< when in_flight last did, for its integral
    double prompt_bytes = 0;         ///< of requests whose prompt_tokens are known
    double prompt_tokens = 0;
    telemetry::Counter offered;
    telemetry::Gauge held;
    telemetry::Histogram isl, osl, duration;
  };
  Model& model(std::string_view name);
  void settle(Model& model, TimePoint now) const;

  telemetry::Registry& registry_;
  const Clock& clock_;
  std::string name_;
  TimePoint began_;
  std::uint64_t boot_;
  std::uint64_t sequence_ = 0;
  bool leaving_ = false;
  std::uint64_t held_bytes_ = 0;
  std::function<void()> on_demand_;
  std::map<std::string, Model, std::less<>> models_;  // its nodes stay where they are: requests point into them
  Model* last_ = nullptr;                             // that was asked for: likely the next one too
  RequestLoad* first_ = nullptr;                      // of all requests that live, as a list
};

/// One request in the report, from its arrival to its end; when it dies it is neither held nor in flight any more.
class RequestLoad {
 public:
  /// `max_tokens`: that the answer may have at most, if the request says so.
  RequestLoad(LoadReport& report, std::string_view model, std::size_t body_bytes, std::optional<std::uint64_t> max_tokens);
  ~RequestLoad();
  RequestLoad(const RequestLoad&) = delete;
  RequestLoad& operator=(const RequestLoad&) = delete;

  /// It waits for a server that has still to come.
  void hold();
  /// It went to a server.
  void sent(std::string_view server, TimePoint now);
  /// It came back from it without an answer, and may be sent again.
  void returned(TimePoint now);
  /// A piece of a streamed answer passes.
  void piece(std::string_view bytes, TimePoint now);
  /// A piece of an answer that is not streamed passes.
  void part(std::string_view bytes) { meter_.feed(bytes); }
  /// A server answered it to the end.
  void finish(int status, TimePoint now);
  void fail();

  [[nodiscard]] const std::string& server() const { return server_; }
  [[nodiscard]] bool in_flight() const { return in_flight_; }
  /// The model's name; holds as long as the report.
  [[nodiscard]] std::string_view model() const { return model_.counts.model; }
  [[nodiscard]] const AnswerMeter& meter() const { return meter_; }
  /// Tokens of the prompt, estimated from its bytes and what answers have told so far.
  [[nodiscard]] double prompt_estimate() const;
  /// Tokens that are still to come, as far as can be guessed.
  [[nodiscard]] double remaining_tokens() const;

 private:
  friend class LoadReport;
  /// It is neither held nor in flight any more.
  void let_go() {
    if (held_ || in_flight_) leave();
  }
  void leave();

  LoadReport& report_;
  LoadReport::Model& model_;
  RequestLoad* next_;
  RequestLoad* previous_ = nullptr;
  std::size_t body_bytes_;
  std::optional<std::uint64_t> max_tokens_;
  std::string server_;
  bool held_ = false;
  bool in_flight_ = false;
  bool counted_ = false;     ///< as finished or failed
  bool began_ = false;       ///< a piece of the answer has come
  TimePoint sent_;
  TimePoint first_;
  TimePoint last_;
  AnswerMeter meter_;
};

}  // namespace flexpert::gateway
