#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"
#include "engine/expert/instance_rows.h"
#include "engine/model/engine.h"
#include "engine/tokenizer/chat_template.h"
#include "engine/tokenizer/tokenizer.h"
#include "fleet/routing_table.h"
#include "placement/recorder.h"
#include "telemetry/metrics.h"

namespace flexpert::engine {

/// What the HTTP front asks of the experts.
struct ExpertControl {
  /// Runs on the engine thread, between two steps.
  std::function<Result<void>(std::shared_ptr<const RoutingTable>)> set_routing_table;
  /// Computes single rows on named instances; the loop's thread.
  InstanceRows& rows;
  /// Rows computed in this process per (layer, expert); empty function: not counted. Any thread.
  std::function<std::vector<std::uint64_t>()> in_process_rows = {};
  bool own_placement = false;  ///< this server says itself where experts lie; tables of others are refused
};

/// A loaded model as the HTTP front serves it. Everything referred to outlives the front.
struct ServedModel {
  std::string name;         ///< what requests call it
  std::string fingerprint;
  Engine& engine;
  const Tokenizer& tokenizer;
  const ChatTemplate& chat_template;
  ExpertControl experts;
  telemetry::Registry& metrics;
  const Clock& clock;
  std::uint32_t kv_block_tokens = 16;
  bool paced = false;  ///< the engine holds results back to emulate an accelerator
  placement::Recorder* recorder = nullptr;  ///< the engine thread's; null: nothing can be recorded
  std::string recording_folder = {};        ///< where dumps are written, too; empty: nowhere
  std::string internal_secret = {};         ///< under which its gateways sign grants; empty: it stands alone
};

}  // namespace flexpert::engine
