#include "flexpert/command_line.h"
#include "flexpert/commands.h"
#include "flexpert/exit_codes.h"
#include "net/signals.h"

int main(int argc, char** argv) {
  using namespace flexpert::app;
  flexpert::net::ignore_sigpipe();
  const ParsedCommandLine line = parse_command_line(argc, argv);
  if (!line.value) return line.exit_code;
  const CommandLine& command = *line.value;
  switch (command.command) {
    case Command::kExpert: return run_expert(command.expert);
    case Command::kServe: return run_serve(command.serve);
    case Command::kLoad: return run_load(command.load);
    case Command::kStatus: return run_status(command.status);
    case Command::kGateway: return run_gateway(command.gateway);
    case Command::kController: return run_controller(command.controller);
    case Command::kUp: return run_up(command.up);
    case Command::kDemo: return run_demo(command.demo);
    case Command::kPack: return run_pack(command.pack);
    case Command::kCheck: return run_check(command.check);
    case Command::kPlace: return run_place(command.place);
    case Command::kVersion: return run_version();
    case Command::kDescribed: return command.run();
  }
  return kExitUsage;
}
