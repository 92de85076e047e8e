// A whole fleet from one command: answers, secure routing, status, and its end.
#include <csignal>
#include <filesystem>

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "integration/test_fleet.h"

namespace flexpert::integration {
namespace {

namespace json = boost::json;

TEST(Fleet, AnswersAllGoldenChatsThroughTheGateway) {
  TestFleet fleet({.level_of_c = "standard", .more_arguments = {}});  // the answers are those of a caller who may use every expert
  ASSERT_TRUE(fleet.ready());
  boost::system::error_code error;
  const json::value goldens = json::parse(read_file(FLEXPERT_SOURCE_DIR "/models/flexpert-tiny-moe/goldens/golden_generate.json"), error);
  ASSERT_FALSE(error);
  std::size_t checked = 0;
  for (const json::value& golden : goldens.at("cases").as_array()) {
    json::object body{{"model", "flexpert-tiny-moe"}, {"temperature", 0}, {"max_tokens", 64}, {"messages", golden.at("messages")}};
    const http::Response response = fleet.post("/v1/chat/completions", json::serialize(body));
    EXPECT_EQ(response.status, 200) << response.body;
    EXPECT_EQ(content_of(response), std::string(golden.at("answer").as_string().c_str())) << json::serialize(golden.at("messages"));
    ++checked;
  }
  EXPECT_EQ(checked, 24U);
  std::uint64_t slots = 0;
  for (const InstanceStatus& instance : fleet.snapshot().instances) slots += instance.slots;
  EXPECT_EQ(slots, 6U * 32U) << "every expert should have been on an expert server";
}

TEST(Fleet, TheThreeSecureRouteCallsWorkLiterally) {
  TestFleet fleet;
  ASSERT_TRUE(fleet.ready());
  const http::Response standard = fleet.post("/route", R"({"token_id": 101, "expert_names": ["A", "B"]})");
  EXPECT_EQ(standard.status, 200) << standard.body;
  const json::value answer = json::parse(standard.body);
  EXPECT_TRUE(answer.at("expert") == "A" || answer.at("expert") == "B") << standard.body;
  EXPECT_EQ(answer.at("input_token_id"), 101);
  EXPECT_EQ(answer.at("status"), "processed");
  EXPECT_GT(answer.at("latency_ms").to_number<double>(), 0);
  EXPECT_EQ(answer.at("output_digest").as_string().size(), 64U);

  const http::Response premium = fleet.post("/route", R"({"token_id": 202, "expert_names": ["C"]})", "PREMIUM_USER_TOKEN");
  EXPECT_EQ(premium.status, 200) << premium.body;
  EXPECT_EQ(json::parse(premium.body).at("expert"), "C");

  EXPECT_EQ(fleet.post("/route", R"({"token_id": 303, "expert_names": ["C"]})").status, 403);
  EXPECT_EQ(fleet.post("/route", R"({"token_id": 303, "expert_names": ["C"]})", "WRONG_TOKEN").status, 403);
}

TEST(Fleet, SecureRouteLeavesOutWhatIsForbiddenAndSaysSo) {
  TestFleet fleet;
  ASSERT_TRUE(fleet.ready());
  const http::Response response = fleet.post("/route", R"({"token_id": 5, "expert_names": ["A", "C"]})");
  EXPECT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(json::parse(response.body).at("expert"), "A");
  ASSERT_TRUE(response.headers.find("X-Expert-Downgraded"));
  EXPECT_EQ(fleet.post("/route", "not json").status, 400);
  EXPECT_EQ(fleet.post("/route", R"({"token_id": 99999999})").status, 400);
}

TEST(Fleet, StatusFindsARunningFleetByItself) {
  TestFleet fleet({.pace_rows_per_s = 50000, .more_arguments = {}});
  ASSERT_TRUE(fleet.ready());
  const Finished table = run_program({"status"}, fleet.environment());
  EXPECT_EQ(table.exit_code, 0) << table.output;
  EXPECT_NE(table.output.find("expert-0"), std::string::npos);
  EXPECT_NE(table.output.find("paced 50000 rows/s"), std::string::npos) << table.output;
  const Finished plain = run_program({"status", "--address", fleet.controller().to_string(), "--json"});
  EXPECT_EQ(plain.exit_code, 0) << plain.output;
  EXPECT_TRUE(codec::decode_fleet_snapshot(plain.output));
}

TEST(Fleet, ASecondFleetOnTheSamePortIsRefusedAndTheFirstLivesOn) {
  TestFleet fleet;
  ASSERT_TRUE(fleet.ready());
  const TemporaryFolder folder;
  const std::string config = folder.write("second.yaml", "gateway:\n  listen: " + fleet.gateway().to_string() +
                                                             "\n  metrics_listen: 127.0.0.1:0\nmodel:\n  path: " FLEXPERT_SOURCE_DIR "/models/flexpert-tiny-moe\n");
  const Finished second = run_program({"up", "-c", config}, {"XDG_RUNTIME_DIR=" + folder.path()});
  EXPECT_EQ(second.exit_code, 1);
  EXPECT_NE(second.output.find(fleet.gateway().to_string()), std::string::npos) << second.output;
  EXPECT_EQ(fleet.get(fleet.probes(), "/health").status, 200);
}

TEST(Fleet, SigtermFinishesARequestThenStopsEverythingWithinTheDeadline) {
  TestFleet fleet({.pace_rows_per_s = 2000, .more_arguments = {}});
  ASSERT_TRUE(fleet.ready());
  const std::vector<int> pids = fleet.instance_pids();
  ASSERT_GE(pids.size(), 4U);
  StreamedChat chat(fleet.loop(), fleet.gateway(), chat_body("Tell me a story.", 60, true));
  ASSERT_TRUE(chat.wait_for_pieces(3, Seconds(20)));
  const TimePoint start = SystemClock().now();
  fleet.program().signal(SIGTERM);
  EXPECT_TRUE(chat.wait_for_end(Seconds(20)));
  EXPECT_EQ(chat.problem(), "");
  const auto status = fleet.program().wait_for_exit(Seconds(30));
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->code, 0) << status->to_string() << "\n" << fleet.program().output();
  EXPECT_LT(to_seconds(SystemClock().now() - start), 17.0);  // the default deadline of 15 s, and a little for the exit itself
  for (const int pid : pids) EXPECT_FALSE(is_running(pid)) << pid;
  for (const auto& entry : std::filesystem::directory_iterator(fleet.folder()))
    EXPECT_EQ(entry.path().filename(), "fleet.yaml") << "left behind";
}

}  // namespace
}  // namespace flexpert::integration
