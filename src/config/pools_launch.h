#pragma once

#include "config/pools_config.h"
#include "config/section_reader.h"

/// How instances are run and where figures come from.
namespace flexpert::config {

/// Reads `launch:` and `sensors:` of a pool; `node` is the pool.
PoolEntry read_pool_entry(SectionReader& pool, const YamlNode& node, PoolRole role, ProblemList& problems);
/// Reads `prometheus:` and `webhook:` of `planner:`.
void read_prometheus(SectionReader& planner, ProblemList& problems, PrometheusConfig& out);
void read_webhook(SectionReader& planner, ProblemList& problems, WebhookConfig& out);

}  // namespace flexpert::config
