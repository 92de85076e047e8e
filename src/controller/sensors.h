#pragma once

#include <functional>
#include <string>
#include <vector>

#include "codec/fleet_json.h"
#include "controller/json_caller.h"

namespace flexpert::controller {

/// What a model server says at /internal/status.
struct ModelServerStatus {
  std::string model;
  std::uint64_t epoch = 0;
  std::uint32_t running = 0;
  std::uint32_t queued = 0;
  bool paced = false;
};

Result<ModelServerStatus> decode_model_server_status(std::string_view json);

/// What one model server answered in one round.
struct Reading {
  InstanceId id;
  Result<ModelServerStatus> status = fail(ErrorCode::kUnavailable, "not asked");
  Result<codec::ExpertLoadReport> loads = fail(ErrorCode::kUnavailable, "not asked");
};

/// Asks model servers for their status and expert loads. Belongs to the loop's thread.
class Sensors {
 public:
  struct Target {
    InstanceId id;
    net::Address address;
  };
  explicit Sensors(JsonCaller& caller) : caller_(caller) {}
  /// Asks all of them at once; `done` runs once, when the last has answered or failed. One round at a time: false if
  /// the one before is not over.
  bool poll(const std::vector<Target>& targets, std::function<void(std::vector<Reading>)> done);

 private:
  JsonCaller& caller_;
  bool busy_ = false;
};

}  // namespace flexpert::controller
