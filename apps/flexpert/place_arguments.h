#pragma once

#include <string>
#include <vector>

#include "flexpert/argument.h"
#include "flexpert/place_options.h"

namespace flexpert::app {

struct PlaceVerbArguments {
  PlaceVerb verb = PlaceVerb::kPlan;
  std::string name;
  std::string help;
  std::string examples;
  Arguments arguments;
};

/// Returns the verbs with their arguments, which write into `options`.
std::vector<PlaceVerbArguments> place_arguments(PlaceOptions& options);

/// Returns the verb's name: "plan".
const char* name_of(PlaceVerb verb);

}  // namespace flexpert::app
