#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"

namespace flexpert::app {

/// Puts what /api/v1/status says of pools into a table and lines for people; empty if the controller has none.
/// Errors: kDataLoss for an answer of another form.
Result<std::string> pool_status_text(std::string_view status, std::size_t width, bool colours);
/// The newest plans that were news, of /api/v1/decisions, a line each.
Result<std::string> pool_plans_text(std::string_view decisions, std::size_t width);

}  // namespace flexpert::app
