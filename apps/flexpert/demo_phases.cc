#include "flexpert/demo_phases.h"

namespace flexpert::app {

namespace {

const std::vector<workload::MixPart> kEverything{{"code", 1}, {"math", 1}, {"dialogue", 1}, {"prose", 1}};

}  // namespace

std::vector<workload::Phase> demo_phases(bool fast) {
  // Rates differ because answers do: about 60 tokens for code and prose, 35 for mathematics, 25 for dialogue.
  if (fast)
    return {{"code", 14, 4.5, {{"code", 1}}, 64},
            {"prose", 14, 4.5, {{"prose", 1}}, 64},
            {"quiet", 18, 0.5, kEverything, 64},
            {kYourTurn, 5, 1, kEverything, 64}};
  return {{"code", 22, 4.5, {{"code", 1}}, 64},
          {"mathematics", 22, 8, {{"math", 1}}, 64},
          {"dialogue", 22, 10, {{"dialogue", 1}}, 64},
          {"prose", 22, 4.5, {{"prose", 1}}, 64},
          {"mixed", 20, 5.5, kEverything, 64},
          {"quiet", 25, 0.5, kEverything, 64},
          {kYourTurn, 15, 1, kEverything, 64}};
}

bool is_hot(const workload::Phase& phase) { return phase.requests_per_s >= 4; }

}  // namespace flexpert::app
