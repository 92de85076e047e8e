#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "controller/json_caller.h"

namespace flexpert::controller {

/// Reads `flexpert_expert_server_rows_total` out of a Prometheus text; nothing if it is not there or not a count.
std::optional<std::uint64_t> rows_of_metrics(std::string_view text);

/// Asks expert servers how many rows they have computed (GET /metrics). Belongs to the loop's thread.
class ServerRows {
 public:
  struct Target {
    InstanceId id;
    net::Address address;
  };
  using OnRows = std::function<void(const InstanceId&, std::uint64_t)>;

  explicit ServerRows(JsonCaller& caller) : caller_(caller) {}
  /// Calls `on_rows` for each server that answers. While a round is under way another is not begun.
  void poll(const std::vector<Target>& targets, const OnRows& on_rows);

 private:
  JsonCaller& caller_;
  std::size_t missing_ = 0;
};

}  // namespace flexpert::controller
