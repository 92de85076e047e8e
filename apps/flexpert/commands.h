#pragma once

#include "flexpert/options.h"

/// One function a subcommand, each in the file of its name. They return the process's exit code: 0 done, 1 failed (one line
/// on stderr says what and how to fix it), 2 wrong use.
namespace flexpert::app {

int run_serve(const ServeOptions& options);
int run_expert(const ExpertOptions& options);
int run_pack(const PackOptions& options);
int run_gateway(const GatewayOptions& options);
int run_controller(const ControllerOptions& options);
int run_up(const UpOptions& options);
int run_status(const StatusOptions& options);
int run_load(const LoadOptions& options);
int run_demo(const DemoOptions& options);
int run_check(const CheckOptions& options);
int run_place(const PlaceOptions& options);
int run_version();

}  // namespace flexpert::app
