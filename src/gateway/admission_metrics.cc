#include "gateway/admission_metrics.h"

#include <iterator>

namespace flexpert::gateway {
namespace {

constexpr const char* kOutcomes[] = {"admitted", "waited",  "concurrency", "requests",     "tokens", "tenant_queue",
                                     "queue_full", "evicted", "expired",     "low_priority", "shed",   "left"};
static_assert(std::size(kOutcomes) == static_cast<std::size_t>(AdmissionOutcome::kCount));

}  // namespace

AdmissionMetrics::AdmissionMetrics(telemetry::Registry& registry)
    : wait_(registry.histogram("flexpert_gateway_queue_wait_seconds", "Waiting time of requests that were admitted from the queue",
                               telemetry::latency_bounds_s())),
      in_flight_(registry.gauge("flexpert_gateway_admitted", "Requests that were admitted and have not ended")),
      queued_(registry.gauge("flexpert_gateway_queued", "Requests that wait in the admission queue")),
      capacity_(registry.gauge("flexpert_gateway_capacity", "Requests that are admitted at once; 0 = no bound")),
      level_(registry.gauge("flexpert_gateway_degradation_level", "Steps of the degradation ladder that hold")),
      saturation_(registry.gauge("flexpert_gateway_saturation", "What the degradation ladder goes by")) {
  for (std::size_t i = 0; i < outcomes_.size(); ++i)
    outcomes_[i] =
        registry.counter("flexpert_gateway_admissions_total", "Requests at admission, by what became of them", {{"outcome", kOutcomes[i]}});
}

}  // namespace flexpert::gateway
