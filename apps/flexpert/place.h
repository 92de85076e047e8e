#pragma once

#include <string>

#include "flexpert/exit_codes.h"
#include "flexpert/place_options.h"

/// One function a verb of `flexpert place`, each in the file of its name; they return the exit code.
namespace flexpert::app {

int run_place_plan(const PlaceOptions& options);
int run_place_diff(const PlaceOptions& options);
int run_place_size(const PlaceOptions& options);
int run_place_evaluate(const PlaceOptions& options);
int run_place_replay(const PlaceOptions& options);
int run_place_convert(const PlaceOptions& options);
int run_place_record(const PlaceOptions& options);
int run_place_explain(const PlaceOptions& options);

}  // namespace flexpert::app
