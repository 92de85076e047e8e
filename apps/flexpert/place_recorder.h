#pragma once

#include <memory>

#include "base/result.h"
#include "fleet/expert_counts.h"
#include "flexpert/place_options.h"
#include "net/address.h"

namespace flexpert::app {

/// Counts what a running engine routes, window by window. Two engines' ways are known.
class EngineRecorder {
 public:
  virtual ~EngineRecorder() = default;
  virtual Result<void> begin_window() = 0;
  /// Returns the counts since begin_window().
  virtual Result<ExpertCounts> end_window() = 0;
};

/// Makes the recorder that --via names. "auto": the differences of /internal/expert-loads where the engine has it, as
/// that disturbs no recording of others; else SGLang's start, stop and dump.
Result<std::unique_ptr<EngineRecorder>> make_engine_recorder(const net::Address& address, const PlaceOptions& options);

}  // namespace flexpert::app
