#include <cstdio>

#include "flexpert/commands.h"
#include "flexpert/exit_codes.h"

namespace flexpert::app {

int run_version() {
  std::puts("flexpert " FLEXPERT_VERSION);
  return kExitOk;
}

}  // namespace flexpert::app
