#pragma once

#include <cstdint>

namespace flexpert::scaling {

/// Ray Serve's autoscaling decision. Source: ray-project/ray, serve/autoscaling_policy.py.
struct RayServeOptions {
  double target_ongoing_requests = 2;  ///< an instance, > 0
  double upscaling_factor = 1;         ///< of the change that is made at once
  double downscaling_factor = 1;
};

/// Returns the count for `total_requests` in progress over `current` running instances (> 0); 0 stays 0 here: waking from
/// zero is the router's business.
std::uint32_t decide_ray_serve(const RayServeOptions& options, std::uint32_t current, double total_requests);

}  // namespace flexpert::scaling
