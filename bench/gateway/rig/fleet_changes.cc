#include "rig/fleet_changes.h"

namespace flexpert::bench {

Result<void> hold_changes(const std::string&, Figures&) { return {}; }

}  // namespace flexpert::bench
