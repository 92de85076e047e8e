#pragma once

#include <string>

#include "base/result.h"
#include "figures.h"

namespace flexpert::bench {

/// 1,000 changes under load: policy reloads, scale-downs of a fleet that the gateway follows, and gateways on a shared socket that
/// drain one after the other. Holds failed requests and cut streams to 0.
Result<void> hold_changes(const std::string& program, Figures& figures);

}  // namespace flexpert::bench
