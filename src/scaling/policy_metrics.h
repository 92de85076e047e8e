#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "fleet/pool_snapshot.h"

/// Metrics as policies look them up: by name, and only where they can be trusted.
namespace flexpert::scaling {

/// Returns the value if it is finite, not negative, no more than anything can be (1e15), and at most `max_age_s` old.
std::optional<double> fresh(const std::optional<MetricSample>& sample, double max_age_s);

/// Looks up a metric of the pool: first in its own metrics, then its traffic by the field's name ("requests_per_s", "isl",
/// "osl", "ttft_s", "itl_s", "duration_s", "in_flight", "queued"); "concurrency" is in_flight + queued (for a
/// pool without instances either is enough).
std::optional<double> pool_metric(const PoolObservation& pool, std::string_view name, double max_age_s);

/// Looks up a metric of one instance: first in its metrics, then "in_flight", "queued" and "concurrency" by its counts.
std::optional<double> instance_metric(const PoolInstance& instance, std::string_view name, double max_age_s);

/// Returns the mean over ready instances; nothing if one of them lacks it, or none is ready. A metric of the whole pool by
/// that name goes first.
std::optional<double> mean_metric(const PoolObservation& pool, std::string_view name, double max_age_s);

/// Says that a metric is missing or too old, for Proposal::conditions.
Reason metric_missing(std::string_view policy, std::string_view name, double max_age_s);

}  // namespace flexpert::scaling
