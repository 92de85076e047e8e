#include "flexpert/described_command.h"

namespace flexpert::app {

DescribedCommand profile_command();

std::vector<DescribedCommand> described_commands() {
  return {
      profile_command(),
  };
}

}  // namespace flexpert::app
