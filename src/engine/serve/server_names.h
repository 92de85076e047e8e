#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "codec/expert_protocol.h"

namespace flexpert::engine {

/// Greets the expert servers at `addresses` and returns what they call themselves, in order. Blocks until all have answered,
/// at most `timeout`. Errors: a server that cannot be reached, does not answer or refuses (another model or other kernels),
/// two of one name; the message names the address.
Result<std::vector<std::string>> names_of_servers(const std::vector<std::string>& addresses, const expert_protocol::Hello& hello, Duration timeout);

}  // namespace flexpert::engine
