#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "engine/model/engine.h"
#include "engine/serve/eplb_options.h"
#include "net/address.h"
#include "net/event_loop.h"
#include "placement/dispatch_policy.h"
#include "placement/recorder.h"

namespace flexpert::engine {

struct ModelServerOptions {
  std::string model_folder;      ///< a Hugging Face checkpoint
  std::string served_name;       ///< what requests call it; empty = the folder's name
  std::string pack_path;         ///< empty = a cached pack, made on first use
  std::string cache_folder;      ///< where cached packs live; empty = ~/.cache/flexpert
  std::string pace_profile;      ///< path of a step-time profile (see pace_profile.h); empty = raw speed
  EngineOptions engine;          ///< threads, KV cache, batch
  EplbOptions eplb;              ///< expert servers of its own, and how they are balanced
  placement::DispatchPolicy dispatch = placement::DispatchPolicy::kLeastLoaded;  ///< among an expert's replicas
  placement::RecorderOptions recorder;
  std::string recording_folder;  ///< where dumps of the recorder are written; empty: nowhere
  std::size_t max_body_bytes = 4 * 1024 * 1024;
  /// Secret under which gateways sign what a caller may use (X-Flexpert-Grant); empty: whoever reaches the server may use it.
  std::string internal_secret;
};

/// A model behind an OpenAI-compatible HTTP server: checkpoint, tokenizer, pack file, experts and engine, put together.
/// Belongs to the loop's thread; the loop must outlive it.
class ModelServer {
 public:
  /// Loads everything; takes as long as that takes (first use packs the experts). Errors name the file and what is wrong.
  static Result<std::unique_ptr<ModelServer>> create(net::EventLoop& loop, ModelServerOptions options, const Clock& clock);
  virtual ~ModelServer() = default;

  /// Starts to serve. Returns the address with the port resolved. May be called for several addresses.
  virtual Result<net::Address> listen(const net::Address& address) = 0;
  /// Stops accepting, refuses new generations (503), lets running ones finish, and calls `done` when the last is over or
  /// `deadline` has passed; those still running then are cut off.
  virtual void drain(Duration deadline, std::move_only_function<void()> done) = 0;
  /// What requests call the model.
  [[nodiscard]] virtual const std::string& served_name() const = 0;
};

}  // namespace flexpert::engine
