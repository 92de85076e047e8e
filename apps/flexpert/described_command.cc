#include "flexpert/described_command.h"

namespace flexpert::app {

DescribedCommand forecast_command();
DescribedCommand keys_command();
DescribedCommand plan_command();
DescribedCommand profile_command();
DescribedCommand replay_command();

std::vector<DescribedCommand> described_commands() {
  return {
      forecast_command(),
      keys_command(),
      plan_command(),
      profile_command(),
      replay_command(),
  };
}

}  // namespace flexpert::app
