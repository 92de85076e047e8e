// Rights down to the expert: what callers with different rights get on /route and in generation, counted where it is computed.
#include <cstdio>

#include "authorization/sections.h"

int main(int argc, char** argv) {
  return flexpert::bench::run_measurement(
      argc, argv, "expert-authorization",
      "a real gateway, a model server and 4 expert servers (2 Unix, 2 TCP), rows counted on the wire in front of each, in the model server's "
      "own fallback, and by gating; routes: every subset of 6 groups by 8 principals, both modes, against rules written separately; "
      "generation: 4 sets of forbidden experts, 64 tokens a request, 12 at a time, expert servers killed all along; texts and rows "
      "per expert compared with each request alone, in process",
      [](const std::string& program, const std::string& model, flexpert::bench::Figures& figures) -> flexpert::Result<void> {
        FLEXPERT_TRY(flexpert::bench::measure_routes(program, model, figures));
        FLEXPERT_TRY(flexpert::bench::measure_generation(program, model, figures));
        return {};
      });
}
