#pragma once

#include <memory>
#include <string>

#include "config/section_reader.h"
#include "perf/classic_profile.h"

namespace flexpert::config {

/// Reads `profile:` of an SLA policy: a folder with prefill and decode files as Dynamo's profiler leaves them, or a mapping
/// `{prefill: FILE, decode: FILE}` with the parallelism to pick where a file has several. Problems are noted; null then, and
/// where the key is absent.
std::shared_ptr<const perf::ClassicProfile> read_profile(SectionReader& policy, ProblemList& problems);

}  // namespace flexpert::config
