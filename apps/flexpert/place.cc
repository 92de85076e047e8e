#include "flexpert/place.h"

#include "flexpert/commands.h"
#include "flexpert/place_screen.h"

namespace flexpert::app {

namespace {

int run_verb(const PlaceOptions& options) {
  switch (options.verb) {
    case PlaceVerb::kPlan: return run_place_plan(options);
    case PlaceVerb::kDiff: return run_place_diff(options);
    case PlaceVerb::kSize: return run_place_size(options);
    case PlaceVerb::kEvaluate: return run_place_evaluate(options);
    case PlaceVerb::kReplay: return run_place_replay(options);
    case PlaceVerb::kConvert: return run_place_convert(options);
    case PlaceVerb::kRecord: return run_place_record(options);
    case PlaceVerb::kExplain: return run_place_explain(options);
  }
  return kExitUsage;
}

}  // namespace

int run_place(const PlaceOptions& options) { return end_of_output(run_verb(options)); }

}  // namespace flexpert::app
