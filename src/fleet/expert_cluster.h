#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"

namespace flexpert {

/// A device (GPU, EP rank, expert server) that holds physical experts.
struct ExpertDevice {
  std::uint32_t node = 0;   ///< devices of a node exchange tokens over fast links
  std::uint32_t host = 0;   ///< failure domain: the devices of a host are lost together
  std::uint32_t slots = 0;  ///< physical experts of each layer that it can hold
  double speed = 1;         ///< relative; kLeastSpeed to kMostSpeed
  bool alive = true;        ///< a dead rank keeps its slots in every layout's numbering, and they stay empty

  auto operator<=>(const ExpertDevice&) const = default;
};

/// The devices that one model's experts are spread over, in rank order.
struct ExpertCluster {
  std::vector<ExpertDevice> devices;

  /// Makes `devices` alike, `nodes` of equal size (node = host). Precondition: both divide.
  static ExpertCluster uniform(std::uint32_t devices, std::uint32_t nodes, std::uint32_t slots_per_device);
  [[nodiscard]] std::uint32_t slots() const;  ///< a layer's, those of dead devices included
  [[nodiscard]] std::uint32_t nodes() const;  ///< one more than the highest node number
  [[nodiscard]] std::uint32_t hosts() const;
  auto operator<=>(const ExpertCluster&) const = default;
};

/// Speeds are relative: the range keeps loads / speed within what numbers can tell apart.
inline constexpr double kLeastSpeed = 1e-9;
inline constexpr double kMostSpeed = 1e9;

/// Checks that there is a device, speeds in their range, slots in all at most 1,048,576; the message names the device.
Result<void> validate(const ExpertCluster& cluster);

}  // namespace flexpert
