#pragma once

#include "config/section_reader.h"
#include "scaling/policy_options.h"

namespace flexpert::config {

/// Reads `profile:` of an SLA policy into `out.profile` and, where it holds steps, `out.engine`: a .json file of ours
/// (docs/reference/profiles.md, `flexpert profile`), a folder with prefill and decode files as Dynamo's profiler leaves them, or a mapping
/// `{prefill: FILE, decode: FILE}` with the parallelism to pick where a file has several. Problems are noted.
void read_profile(SectionReader& policy, ProblemList& problems, scaling::SlaOptions& out);

}  // namespace flexpert::config
