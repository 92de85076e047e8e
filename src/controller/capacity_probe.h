#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/json_caller.h"
#include "fleet/routing_table.h"

namespace flexpert::controller {

/// Measures how many rows per second one expert server computes, by running single tokens through all the experts of
/// a layer that it holds (POST /internal/experts, whose latency excludes HTTP). Belongs to the loop's thread.
class CapacityProbe {
 public:
  using Done = std::move_only_function<void(Result<double>)>;
  /// Returns the grant of a call with this body; empty: it needs none.
  using Sign = std::function<std::string(std::string_view body)>;
  explicit CapacityProbe(JsonCaller& caller) : caller_(caller) {}
  /// Calls `done` once with the median over a few dozen calls. One measurement at a time: false if one is under way.
  bool measure(const net::Address& model_server, const RoutingTable& table, Sign sign, Done done);

 private:
  struct Call {
    std::string body;
    std::size_t rows = 0;
  };
  void next();
  void finish();

  JsonCaller& caller_;
  net::Address model_server_;
  std::vector<Call> calls_;
  std::size_t at_ = 0;
  std::vector<double> rows_per_s_;
  std::string last_error_;
  Sign sign_;
  Done done_;
};

}  // namespace flexpert::controller
