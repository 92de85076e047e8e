#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "codec/openai_request.h"
#include "engine/serve/served_model.h"
#include "engine/tokenizer/tokenizer.h"
#include "fleet/expert_slot.h"

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
  Duration timeout = Seconds(2);  ///< for all calls together, the wait for the running step included
  std::vector<ExpertCall> calls;  ///< not empty
};

/// Errors name the field.
codec::ApiResult<ExpertCallRequest> parse_expert_calls(std::string_view body, ExpertGeometry geometry);

struct ExpertCallAnswer {
  std::vector<double> latency_ms;  ///< one per call
  std::vector<float> output;       ///< sum of weight * output over the calls, in order
};

/// Runs the calls one after another; called between two steps. Errors: 404, 502 and 504 with code "call NAME".
codec::ApiResult<ExpertCallAnswer> run_expert_calls(const ExpertCallRequest& request, std::span<const float> row, const ExpertControl& experts,
                                                    TimePoint deadline, const Clock& clock);

/// Writes the body of the answer.
std::string encode_expert_answer(const ExpertCallRequest& request, const ExpertCallAnswer& answer);

}  // namespace flexpert::engine
