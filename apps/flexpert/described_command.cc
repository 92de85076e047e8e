#include "flexpert/described_command.h"

namespace flexpert::app {

std::vector<DescribedCommand> described_commands() { return {}; }

}  // namespace flexpert::app
