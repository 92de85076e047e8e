#include "gateway/tests/route_world.h"

namespace flexpert::gateway {
namespace {

namespace json = boost::json;

TEST_F(RouteTest, TheThreeCallsOfTheIssueGoAsItSays) {
  begin();
  const auto standard = route(R"({"token_id": 101, "expert_names": ["A", "B"]})");
  ASSERT_EQ(standard->status, 200) << standard->body;
  const json::object first = object_of(*standard);
  EXPECT_TRUE(text(first, "expert") == "A" || text(first, "expert") == "B");
  EXPECT_EQ(first.at("input_token_id").to_number<int>(), 101);
  EXPECT_EQ(text(first, "status"), "processed");
  EXPECT_GT(first.at("latency_ms").to_number<double>(), 0);
  EXPECT_EQ(text(first, "output_digest"), crypto::sha256_hex("x"));
  EXPECT_EQ(first.size(), 6U);
  EXPECT_FALSE(standard->headers.find("X-Expert-Downgraded"));

  const auto premium = route(R"({"token_id": 202, "expert_names": ["C"]})", "PREMIUM_USER_TOKEN");
  ASSERT_EQ(premium->status, 200) << premium->body;
  EXPECT_EQ(text(object_of(*premium), "expert"), "C");
  EXPECT_EQ(text(object_of(*premium), "instance"), "expert-2");

  const std::size_t asked_before = asked.size();
  const auto refused = route(R"({"token_id": 303, "expert_names": ["C"]})");
  EXPECT_EQ(refused->status, 403);
  EXPECT_EQ(asked.size(), asked_before);
  EXPECT_EQ(gateway->load(), 0U);
}

TEST_F(RouteTest, AWrongTokenIsAsGoodAsNoneAndAnswersTheSame) {
  begin();
  const auto wrong = route(R"({"token_id": 303, "expert_names": ["C"]})", "PREMIUM_USER_TOKEN2");
  const auto none = route(R"({"token_id": 303, "expert_names": ["C"]})");
  EXPECT_EQ(wrong->status, 403);
  EXPECT_EQ(wrong->body, none->body);
  EXPECT_EQ(wrong->body.find("PREMIUM"), std::string::npos);
}

TEST_F(RouteTest, ForbiddenExpertsAreLeftOutAndNamedInAHeader) {
  begin();
  const auto seen = route(R"({"token_id": 1, "expert_names": ["A", "C"]})");
  ASSERT_EQ(seen->status, 200);
  EXPECT_EQ(seen->headers.find("X-Expert-Downgraded"), "C");
  EXPECT_EQ(text(object_of(*seen), "expert"), "A");
  const auto with_token = route(R"({"token_id": 1, "expert_names": ["A", "C"], "mode": "all"})", "PREMIUM_USER_TOKEN");
  EXPECT_FALSE(with_token->headers.find("X-Expert-Downgraded"));
  EXPECT_EQ(text(object_of(*with_token), "expert"), "A,C");
}

TEST_F(RouteTest, TheModelServerIsAskedInTheDocumentedForm) {
  begin();
  ASSERT_EQ(route(R"({"token_id": 7, "expert_names": ["A"]})")->status, 200);
  EXPECT_EQ(json::serialize(asked.back()),
            R"({"token_id":7,"timeout_ms":2000,"calls":[{"name":"A","instance":"expert-0","weight":1,"slots":[[4,12],[5,10],[5,7]]}]})");
}

TEST_F(RouteTest, WithoutNamesTheDefaultsAreMeantAndEqualsTakeTurns) {
  begin();
  std::map<std::string, int> picked;
  for (int i = 0; i < 10; ++i) ++picked[text(object_of(*route(R"({"token_id": 5})")), "expert")];
  EXPECT_EQ(picked, (std::map<std::string, int>{{"A", 5}, {"B", 5}}));
}

TEST_F(RouteTest, TheGroupWithLessLiveLoadIsPicked) {
  begin();
  hold = true;
  const auto busy = send("POST", "/route", R"({"token_id": 1, "expert_names": ["A"]})");
  ASSERT_TRUE(until([&] { return held.size() == 1; }));
  EXPECT_GT(gateway->load(), 0U);
  hold = false;
  for (int i = 0; i < 4; ++i) EXPECT_EQ(text(object_of(*route(R"({"token_id": 2})")), "expert"), "B");
  answer(asked[0], held[0]);
  ASSERT_TRUE(until([&] { return busy->over(); }));
  EXPECT_EQ(gateway->load(), 0U);
}

TEST_F(RouteTest, TheGroupWithLessReportedUtilisationIsPicked) {
  for (const ExpertSlot slot : config.model->groups[0].slots) controller.snapshot.experts[slot.layer * 32 + slot.expert].utilisation = 0.9;
  begin();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(text(object_of(*route(R"({"token_id": 2})")), "expert"), "B");
}

TEST_F(RouteTest, ModeAllRunsEachOnceWithItsGateWeight) {
  begin();
  const auto seen = route(R"({"token_id": 9, "expert_names": ["A", "B"], "mode": "all", "gate_weights": [0.75, 0.25]})");
  ASSERT_EQ(seen->status, 200) << seen->body;
  const json::object answer_given = object_of(*seen);
  EXPECT_EQ(text(answer_given, "expert"), "A,B");
  ASSERT_EQ(answer_given.at("experts").as_array().size(), 2U);
  EXPECT_EQ(json::value_to<std::string>(answer_given.at("experts").at(0).at("instance")), "expert-0");
  EXPECT_EQ(answer_given.at("experts").at(1).at("latency_ms").to_number<double>(), 0.5);
  const json::array& calls = asked.back().at("calls").as_array();
  EXPECT_EQ(calls[0].at("weight").to_number<double>(), 0.75);
  EXPECT_EQ(calls[1].at("weight").to_number<double>(), 0.25);
}

TEST_F(RouteTest, WhatAForbiddenExpertLeavesGoesToTheOthers) {
  begin();
  const auto seen = route(R"({"token_id": 9, "expert_names": ["A", "B", "C"], "mode": "all", "gate_weights": [0.25, 0.25, 0.5]})");
  ASSERT_EQ(seen->status, 200);
  const json::array& calls = asked.back().at("calls").as_array();
  ASSERT_EQ(calls.size(), 2U);
  EXPECT_EQ(calls[0].at("weight").to_number<double>(), 0.5);
  EXPECT_EQ(calls[1].at("weight").to_number<double>(), 0.5);
}

TEST_F(RouteTest, AGroupSpreadOverInstancesIsOneCallEachWeighedByItsSlots) {
  const auto& slots = config.model->groups[0].slots;
  RoutingTable& table = *controller.snapshot.routing;
  table.replicas[table.geometry.index(slots[0])] = {1};
  begin();
  const auto seen = route(R"({"token_id": 9, "expert_names": ["A"]})");
  ASSERT_EQ(seen->status, 200);
  EXPECT_EQ(text(object_of(*seen), "expert"), "A");
  EXPECT_EQ(text(object_of(*seen), "instance"), "expert-0,expert-1");
  EXPECT_EQ(metric(R"(flexpert_gateway_route_experts_total{group="A",outcome="processed"})"), 1);
  const json::array& calls = asked.back().at("calls").as_array();
  ASSERT_EQ(calls.size(), 2U);
  EXPECT_NEAR(calls[0].at("weight").to_number<double>(), 2.0 / 3, 1e-12);
  EXPECT_NEAR(calls[1].at("weight").to_number<double>(), 1.0 / 3, 1e-12);
}

TEST_F(RouteTest, BadBodiesAreRefusedWithTheFieldAtFault) {
  begin();
  const auto expect = [&](const std::string& body, int status, const std::string& message) {
    const auto seen = route(body);
    EXPECT_EQ(seen->status, status) << body;
    EXPECT_EQ(json::value_to<std::string>(object_of(*seen).at("error").at("message")), message);
  };
  expect("[1]", 400, R"(the body must be a JSON object like {"token_id": 101, "expert_names": ["A", "B"]})");
  expect("{}", 400, "token_id: missing");
  expect(R"({"token_id": "101"})", 400, "token_id: must be a whole number from 0 to 2147483647");
  expect(R"({"token_id": -1})", 400, "token_id: must be a whole number from 0 to 2147483647");
  expect(R"({"token_id": 1.5})", 400, "token_id: must be a whole number from 0 to 2147483647");
  expect(R"({"token_id": 1, "token_id": 2})", 400, "token_id: given twice");
  expect(R"({"token_id": 1, "expert_names": []})", 400, "expert_names: must be a list of 1 to 64 names");
  expect(R"({"token_id": 1, "expert_names": "A"})", 400, "expert_names: must be a list of 1 to 64 names");
  expect(R"({"token_id": 1, "expert_names": ["A", 5]})", 400, "expert_names[1]: must be a string of 1 to 256 bytes");
  expect(R"({"token_id": 1, "expert_names": ["A", "A"]})", 400, "expert_names[1]: A is given twice");
  expect(R"({"token_id": 1, "mode": "some"})", 400, "mode: must be \"any\" or \"all\"");
  expect(R"({"token_id": 1, "gate_weights": [1]})", 400, "gate_weights: must have one number for each expert name: 2 wanted, 1 given");
  expect(R"({"token_id": 1, "gate_weights": [1, 0]})", 400, "gate_weights[1]: must be a number over 0 and up to 1000000");
  expect(R"({"token_id": 1, "expert_name": ["A"]})", 400, "expert_name: unknown field; allowed: token_id, expert_names, mode, gate_weights");
  expect(R"({"token_id": 1, "expert_names": ["A", "Z"]})", 404, "expert_names: no such expert: Z; known: A, B");
  EXPECT_EQ(route("{\"token_id\":")->status, 400);
  EXPECT_EQ(call("GET", "/route")->status, 405);
  EXPECT_TRUE(asked.empty());
}

TEST_F(RouteTest, FailuresOfExpertsKeepTheirStatusAndGiveTheLoadBack) {
  begin();
  const std::pair<int, int> expected[] = {{400, 400}, {502, 502}, {504, 504}, {500, 502}};
  for (const auto& [from_server, to_client] : expected) {
    fail_status = from_server;
    fail_code = "call A";
    const auto seen = route(R"({"token_id": 1, "expert_names": ["A"]})");
    EXPECT_EQ(seen->status, to_client);
    EXPECT_EQ(gateway->load(), 0U);
  }
  EXPECT_EQ(metric(R"(flexpert_gateway_route_experts_total{group="A",outcome="failed"})"), 4);
}

TEST_F(RouteTest, AReplicaThatIsNoLongerThereIsReplacedByAnother) {
  begin();
  hold = true;
  const auto seen = send("POST", "/route", R"({"token_id": 1, "expert_names": ["B"]})");
  ASSERT_TRUE(until([&] { return held.size() == 1; }));
  const std::string first = json::value_to<std::string>(asked[0].at("calls").at(0).at("instance"));
  held[0].respond(http::openai_error(404, "no replica", "invalid_request_error", {}, "call B"));
  ASSERT_TRUE(until([&] { return held.size() == 2; }));
  EXPECT_NE(json::value_to<std::string>(asked[1].at("calls").at(0).at("instance")), first);
  answer(asked[1], held[1]);
  ASSERT_TRUE(until([&] { return seen->over(); }));
  EXPECT_EQ(seen->status, 200);
  EXPECT_EQ(gateway->load(), 0U);
}

TEST_F(RouteTest, NoReadyHolderGives503WithRetryAfter) {
  controller.snapshot.instances[1].state = InstanceState::kFailed;  // expert-0, the only holder of A
  begin();
  const auto seen = route(R"({"token_id": 1, "expert_names": ["A"]})");
  EXPECT_EQ(seen->status, 503);
  EXPECT_TRUE(seen->headers.find("Retry-After"));
  EXPECT_EQ(text(object_of(*route(R"({"token_id": 1, "expert_names": ["A", "B"]})")), "expert"), "B");
  EXPECT_EQ(route(R"({"token_id": 1, "expert_names": ["A", "B"], "mode": "all"})")->status, 503);
  EXPECT_EQ(gateway->load(), 0U);
}

TEST_F(RouteTest, AModelServerThatIsGoneGives503AndOneThatIsSilent504) {
  begin({.recovery_wait = Milliseconds(100), .expert_timeout = Milliseconds(100)});
  hold = true;
  const auto slow = route(R"({"token_id": 1})");
  EXPECT_EQ(slow->status, 504);
  model_server.stop();
  const auto gone = route(R"({"token_id": 1})");
  EXPECT_EQ(gone->status, 503);
  EXPECT_TRUE(gone->headers.find("Retry-After"));
  EXPECT_EQ(gateway->load(), 0U);
}

TEST_F(RouteTest, AClientThatGoesAwayGivesItsLoadBack) {
  begin();
  hold = true;
  const auto seen = send("POST", "/route", R"({"token_id": 1, "mode": "all"})");
  ASSERT_TRUE(until([&] { return held.size() == 1; }));
  EXPECT_EQ(gateway->load(), 5U);  // two groups, two instances, one model server
  client.cancel(seen->id);
  EXPECT_TRUE(until([&] { return gateway->load() == 0; }));
}

TEST_F(RouteTest, WithoutAControllerThereAreNoExperts) {
  FakeServer upstream(loop, [](const http::Request&, http::Responder responder) { responder.respond(http::json_response(200, "{}")); });
  config.gateway.controller.clear();
  config::UpstreamConfig entry;
  entry.name = "u";
  entry.url = "http://" + upstream.address();
  entry.models = {"m"};
  config.upstreams.push_back(entry);
  begin();
  EXPECT_EQ(route(R"({"token_id": 1})")->status, 503);
  EXPECT_TRUE(upstream.requests.empty());
}

}  // namespace
}  // namespace flexpert::gateway
