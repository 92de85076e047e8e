#pragma once

#include <string>

#include "config/gateway_options.h"
#include "routing/endpoints.h"
#include "routing/retry_budget.h"

namespace flexpert::gateway {

/// Translates a routing section of the configuration; its `policy` has been checked.
routing::PickOptions pick_options(const config::RoutingConfig& routing);

/// The servers of one model, and how one of them is chosen. Belongs to the loop's thread.
class ModelPool {
 public:
  ModelPool(std::string model, const config::RoutingConfig& routing)
      : model_(std::move(model)),
        routing_(routing),
        all_(pick_options(routing)),
        own_(pick_options(routing)),
        retries_(routing.retry_budget) {}

  [[nodiscard]] const std::string& model() const { return model_; }
  [[nodiscard]] const config::RoutingConfig& routing() const { return routing_; }
  /// From now on servers are chosen so. The retry budget starts anew.
  void set_routing(const config::RoutingConfig& routing);
  /// Every server of the model.
  [[nodiscard]] routing::EndpointPool& all() { return all_; }
  /// Those that mask experts: the only ones for a caller with restricted rights.
  [[nodiscard]] routing::EndpointPool& own() { return own_; }
  [[nodiscard]] bool has_foreign() const { return all_.endpoints().size() != own_.endpoints().size(); }
  [[nodiscard]] routing::RetryBudget& retries() { return retries_; }

 private:
  std::string model_;
  config::RoutingConfig routing_;
  routing::EndpointPool all_;
  routing::EndpointPool own_;
  routing::RetryBudget retries_;
};

}  // namespace flexpert::gateway
