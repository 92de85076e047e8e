#pragma once

#include <functional>
#include <string>
#include <vector>

#include "flexpert/argument.h"

namespace flexpert::app {

struct DescribedVerb {
  std::string name;
  std::string help;
  std::string examples;
  Arguments arguments;
  std::function<void()> chosen;  ///< notes in the command's options that this verb was named
};

/// A subcommand with everything that the command line needs to know of it. The options that its arguments write into
/// belong to `run` (a shared_ptr in its capture).
struct DescribedCommand {
  std::string name;
  std::string help;
  std::string examples;
  Arguments arguments;
  std::vector<DescribedVerb> verbs;  ///< none has to be named
  std::function<int()> run;          ///< returns the process's exit code: 0 done, 1 failed, 2 wrong use
};

/// All of them, in the order of --help. A further command is a file X_command.cc that makes its description, and a line here.
std::vector<DescribedCommand> described_commands();

}  // namespace flexpert::app
