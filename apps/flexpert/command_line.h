#pragma once

#include <optional>

#include "flexpert/options.h"

namespace flexpert::app {

/// Parses the command line. Without a value, the process is to exit with `exit_code` (--help: 0, wrong use: 2); what there
/// was to say has been printed.
struct ParsedCommandLine {
  std::optional<CommandLine> value;
  int exit_code = 0;
};

ParsedCommandLine parse_command_line(int argc, const char* const* argv);

}  // namespace flexpert::app
