#pragma once

#include <string>

#include "fleet/placement_plan.h"

namespace flexpert::report {

/// Draws the balancedness of every layer as SVG: a tick at what the proven bound allows, a filled dot for `after`, a hollow
/// one for `before` (null: none), a line between them. Colours come from the page's style sheet.
std::string balance_chart(const Balance& after, const Balance* before);

}  // namespace flexpert::report
