#pragma once

#include <string>
#include <vector>

#include "workload/phases.h"

namespace flexpert::app {

/// The traffic of the quick start: four hot phases of one kind each, a mixed one, a quiet one, and one in which the reader is
/// invited to kill a process. `fast`: fewer and shorter ones.
std::vector<workload::Phase> demo_phases(bool fast);
/// Tells whether a phase is one that the smallest fleet cannot serve well.
bool is_hot(const workload::Phase& phase);
/// Name of the last phase.
inline constexpr const char* kYourTurn = "your turn";

}  // namespace flexpert::app
