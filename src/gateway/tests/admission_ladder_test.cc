#include "gateway/tests/admission_world.h"

namespace flexpert::gateway {
namespace {

config::AdmissionConfig laddered() {
  return {.max_in_flight = 1,
          .max_queued = 10,
          .degradation = {{.kind = "cap_max_tokens", .enter = 0.2, .leave = 0.1, .hold_s = 5, .max_tokens = 64},
                          {.kind = "cache", .enter = 0.3, .leave = 0.1, .hold_s = 5},
                          {.kind = "smaller_model", .enter = 0.4, .leave = 0.1, .hold_s = 5, .models = {{"big", "small"}}},
                          {.kind = "drop_low_priority", .enter = 0.5, .leave = 0.1, .hold_s = 5},
                          {.kind = "shed", .enter = 0.9, .leave = 0.1, .hold_s = 5}}};
}

/// A caller of tenant "a" that may use `models`.
CallerPtr with_models(std::vector<std::string> models) {
  auth::PolicyRules rules;
  rules.roles = {{.name = "r", .models = std::move(models), .expert_groups = {}, .denied_expert_groups = {}, .admin = 0}};
  const auto policy = *auth::Policy::compile(std::move(rules));
  auto caller = std::make_shared<Caller>();
  caller->identity = {.credential = auth::Credential::kApiKey, .id = "k", .tenant = "a", .roles = {"r"}};
  caller->grant = policy->grant(caller->identity);
  return caller;
}

TEST(AdmissionLadder, ChangesNothingBelowTheFirstStep) {
  AdmissionWorld world(laddered());
  const Degradation degraded = world.admission->degradation(*caller_of("a"), "big");
  EXPECT_EQ(degraded.cap_max_tokens, 0U);
  EXPECT_TRUE(degraded.header.empty());
}

TEST(AdmissionLadder, StepsHoldWithTheSaturationOfTheUpstreams) {
  AdmissionWorld world(laddered());
  world.admission->set_saturation(0.45);
  const Degradation degraded = world.admission->degradation(*with_models({"big", "small"}), "big");
  EXPECT_EQ(degraded.cap_max_tokens, 64U);
  EXPECT_TRUE(degraded.answer_from_cache);
  EXPECT_EQ(degraded.smaller_model, "small");
  EXPECT_EQ(degraded.header, "cap_max_tokens, cache, smaller_model");
}

TEST(AdmissionLadder, NeverLeadsToAModelThatTheCallerMayNotUse) {
  AdmissionWorld world(laddered());
  world.admission->set_saturation(0.45);
  EXPECT_EQ(world.admission->degradation(*with_models({"big"}), "big").smaller_model, "");
}

TEST(AdmissionLadder, LeavesCriticalCallersAlone) {
  AdmissionWorld world(laddered());
  world.admission->set_saturation(5);
  const auto critical = caller_of("c", {}, auth::PriorityClass::kCritical);
  EXPECT_TRUE(world.admission->degradation(*critical, "big").header.empty());
  const auto first = world.send(*critical);
  const auto second = world.send(*critical);
  EXPECT_NE(second->waiting, nullptr) << "it may still wait";
}

TEST(AdmissionLadder, TheQueueItselfCountsAsSaturation) {
  AdmissionWorld world(laddered());
  const auto caller = caller_of("a");
  std::vector<std::unique_ptr<AdmissionWorld::Request>> requests;
  for (int i = 0; i < 3; ++i) requests.push_back(world.send(*caller));
  EXPECT_EQ(world.admission->degradation(*caller, "big").header, "cap_max_tokens");
  world.clock.advance(Seconds(5));
  requests.clear();
  EXPECT_EQ(world.admission->degradation(*caller, "big").header, "");
}

TEST(AdmissionLadder, DropsLowPriorityWorkThenShedsWhatWouldHaveToWait) {
  AdmissionWorld world(laddered());
  const auto low = caller_of("low", {}, auth::PriorityClass::kSheddable);
  const auto standard = caller_of("standard");
  world.admission->set_saturation(0.6);
  const auto dropped = world.send(*low);
  ASSERT_TRUE(dropped->refused);
  EXPECT_EQ(dropped->refused->status, 529);
  EXPECT_EQ(dropped->refused->code, "low_priority_dropped");
  const auto first = world.send(*standard);
  const auto second = world.send(*standard);
  EXPECT_NE(second->waiting, nullptr);
  world.admission->set_saturation(1.5);
  const auto shed = world.send(*standard);
  ASSERT_TRUE(shed->refused);
  EXPECT_EQ(shed->refused->status, 529);
  EXPECT_EQ(shed->refused->code, "overloaded");
  EXPECT_GE(shed->refused->retry_after_s, 1);
}

TEST(AdmissionLadder, ShedRequestsCostTheirTenantNothing) {
  AdmissionWorld world(laddered());
  const auto low = caller_of("low", {.requests_per_minute = 5}, auth::PriorityClass::kSheddable);
  world.admission->set_saturation(0.6);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(world.send(*low)->refused->status, 529);
  EXPECT_NE(world.fields(*low).find("remaining-requests: 5\r\n"), std::string::npos);
}

TEST(AdmissionLadder, AFileThatCannotWorkIsRefusedWithItsStep) {
  net::EventLoop loop;
  FakeClock clock;
  telemetry::Registry registry;
  const auto admission = make_admission(loop, clock, {.degradation = {{.kind = "sleep"}}}, registry);
  ASSERT_FALSE(admission);
  EXPECT_EQ(admission.error().message.find("degradation: step 1: kind: no such step: \"sleep\""), 0U) << admission.error().message;
}

}  // namespace
}  // namespace flexpert::gateway
