#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "gateway/admission_control.h"

namespace flexpert::gateway {

inline CallerPtr caller_of(std::string tenant, auth::TenantLimits limits = {},
                           auth::PriorityClass priority = auth::PriorityClass::kStandard, double weight = 1) {
  auto grant = std::make_shared<auth::Grant>();
  grant->tenant = {.name = tenant, .limits = limits, .priority = priority, .weight = weight};
  auto caller = std::make_shared<Caller>();
  caller->identity.tenant = std::move(tenant);
  caller->grant = std::move(grant);
  return caller;
}

/// An admission with a clock that is moved by hand.
struct AdmissionWorld {
  explicit AdmissionWorld(config::AdmissionConfig config) : admission(std::move(*make_admission(loop, clock, config, registry))) {}

  /// One request and what became of it.
  struct Request {
    std::unique_ptr<Admitted> admitted;
    std::unique_ptr<Admission::Waiting> waiting;
    std::optional<Refusal> refused;
    int told = 0;

    void take(Admission::Outcome outcome) {
      if (outcome) admitted = std::move(*outcome);
      else refused = std::move(outcome.error());
    }
  };

  std::unique_ptr<Request> send(const Caller& caller, std::uint64_t prompt = 10, std::uint64_t max_tokens = 90, Duration wait = {},
                                double cost = 1) {
    auto request = std::make_unique<Request>();
    auto outcome = admission->admit({.caller = &caller,
                                     .model = "m",
                                     .prompt_tokens = prompt,
                                     .max_tokens = max_tokens,
                                     .cost = cost,
                                     .deadline = wait == Duration{} ? TimePoint{} : clock.now() + wait},
                                    [r = request.get()](Admission::Outcome later) {
                                      ++r->told;
                                      r->take(std::move(later));
                                    });
    if (auto* now = std::get_if<Admission::Outcome>(&outcome)) request->take(std::move(*now));
    else request->waiting = std::move(std::get<std::unique_ptr<Admission::Waiting>>(outcome));
    EXPECT_EQ(request->told, 0) << "never from inside admit()";
    return request;
  }
  /// Lets the loop do what is due.
  void settle() {
    for (int i = 0; i < 4; ++i) loop.run_once(Duration::zero());
  }
  std::string fields(const Caller& caller) {
    std::string lines;
    admission->append_rate_limit_fields(lines, caller);
    return lines;
  }

  net::EventLoop loop;
  FakeClock clock;
  telemetry::Registry registry;
  std::unique_ptr<Admission> admission;
};

}  // namespace flexpert::gateway
