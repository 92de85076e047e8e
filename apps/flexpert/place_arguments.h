#pragma once

#include <functional>
#include <string>
#include <vector>

#include "flexpert/place_options.h"

namespace flexpert::app {

/// One option or positional argument of a verb, without CLI11, so that command_line.cc alone pays for that.
struct PlaceArgument {
  std::string name;          ///< "--devices", "-o,--out"; without dashes: positional
  std::string type;          ///< what --help calls its value; empty: a flag
  std::string help;
  bool required = false;
  bool repeated = false;     ///< may be given several times
  std::string default_text;
  std::function<std::string(const std::string&)> take;  ///< stores one value; returns what is wrong with it, or ""
};

struct PlaceVerbArguments {
  PlaceVerb verb = PlaceVerb::kPlan;
  std::string name;
  std::string help;
  std::string examples;
  std::vector<PlaceArgument> arguments;
};

/// Returns the verbs with their arguments, which write into `options`.
std::vector<PlaceVerbArguments> place_arguments(PlaceOptions& options);

/// Returns the verb's name: "plan".
const char* name_of(PlaceVerb verb);

}  // namespace flexpert::app
