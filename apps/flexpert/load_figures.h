#pragma once

#include <string>
#include <vector>

#include "report/table.h"
#include "workload/load_record.h"
#include "workload/phases.h"

namespace flexpert::app {

/// One row a phase and one for the whole run.
report::Table load_table(const workload::LoadRecord& record, const std::vector<workload::Phase>& phases);
/// The same figures as a JSON object: of the whole run, and under "phases" of each.
std::string load_figures_json(const workload::LoadRecord& record, const std::vector<workload::Phase>& phases, double seconds);

}  // namespace flexpert::app
