#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "codec/openai_request.h"
#include "engine/expert/instance_rows.h"
#include "engine/tokenizer/tokenizer.h"
#include "fleet/expert_slot.h"
#include "fleet/routing_table.h"
#include "net/event_loop.h"

namespace flexpert::engine {

/// One named call: a row goes through each slot on one instance; the mean of the outputs is the call's output.
struct ExpertCall {
  std::string name;
  InstanceId instance;
  float weight = 1;
  std::vector<ExpertSlot> slots;  ///< not empty, all of the model
};

/// The body of POST /internal/experts.
struct ExpertCallRequest {
  TokenId token = 0;
  Duration timeout = Seconds(2);  ///< for all calls together
  std::vector<ExpertCall> calls;  ///< not empty
};

/// Errors name the field.
codec::ApiResult<ExpertCallRequest> parse_expert_calls(std::string_view body, ExpertGeometry geometry);

struct ExpertCallAnswer {
  std::vector<double> latency_ms;  ///< one per call
  std::vector<float> output;       ///< sum of weight * output over the calls, in order
};

/// Runs one request's calls on their instances: all calls at once, the slots of a call one after another, so that one slow
/// instance delays its own calls only. Belongs to the loop's thread.
class ExpertCallRun {
 public:
  using Done = std::move_only_function<void(codec::ApiResult<ExpertCallAnswer>)>;
  /// `rows`, the loop and the clock must outlive it.
  ExpertCallRun(net::EventLoop& loop, InstanceRows& rows, const Clock& clock, ExpertCallRequest request, std::vector<float> row);
  /// Cancels what is under way; `done` is not called any more.
  ~ExpertCallRun();
  ExpertCallRun(const ExpertCallRun&) = delete;
  ExpertCallRun& operator=(const ExpertCallRun&) = delete;

  /// Begins. Error: 404 when `table` does not give an instance a replica that a call names; then nothing was begun.
  /// `done` is called once, from the loop, and may destroy the run. Errors: 502 and 504 with code "call NAME".
  codec::ApiResult<void> start(const RoutingTable& table, Done done);
  [[nodiscard]] const ExpertCallRequest& request() const { return request_; }

 private:
  struct Progress {
    ExpertEndpoint instance;
    std::size_t slots_done = 0;
    std::vector<float> sum;
    InstanceRows::RowId pending = 0;  ///< 0 = the call is over
    double latency_ms = 0;
  };

  void ask(std::size_t call);
  void on_output(std::size_t call, Result<std::vector<float>> output);
  void expire();
  void end(codec::ApiResult<ExpertCallAnswer> result);
  [[nodiscard]] ExpertCallAnswer combine() const;
  void cancel_all();

  net::EventLoop& loop_;
  InstanceRows& rows_;
  const Clock& clock_;
  ExpertCallRequest request_;
  std::vector<float> row_;
  std::vector<Progress> progress_;  ///< as request_.calls
  TimePoint started_;
  net::TimerId timer_ = 0;
  Done done_;
};

/// Writes the body of the answer.
std::string encode_expert_answer(const ExpertCallRequest& request, const ExpertCallAnswer& answer);

}  // namespace flexpert::engine
