// /metrics after every kind of request, as Prometheus' own linter reads it.
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "gateway/tests/gateway_world.h"

namespace flexpert::gateway {
namespace {

namespace fs = std::filesystem;

class MetricsCheckTest : public GatewayWorld {};

/// Runs `promtool check metrics` on `text`; returns its exit code, and what it said.
std::pair<int, std::string> check(const std::string& text) {
  const fs::path file = fs::temp_directory_path() / ("flexpert-metrics-" + std::to_string(::getpid()));
  std::ofstream(file) << text;
  std::string said;
  FILE* run = ::popen(("promtool check metrics < " + file.string() + " 2>&1").c_str(), "r");
  for (int c = std::fgetc(run); c != EOF; c = std::fgetc(run)) said += static_cast<char>(c);
  const int status = ::pclose(run);
  fs::remove(file);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, said};
}

TEST_F(MetricsCheckTest, PrometheusFindsNothingToComplainOf) {
  if (std::system("command -v promtool >/dev/null 2>&1") != 0) GTEST_SKIP() << "promtool is not installed (scripts/install-packages bench)";
  ASSERT_NE(check("flexpert_bad_seconds_total{ 1\n").first, 0) << "promtool takes anything";
  FakeServer upstream(loop, [](const http::Request& request, http::Responder responder) {
    if (request.body.find("stream") == std::string::npos) return responder.respond(http::json_response(200, R"({"usage":{"prompt_tokens":3,"completion_tokens":2}})"));
    http::Headers headers;
    headers.set("Content-Type", "text/event-stream");
    responder.start(200, headers);
    responder.write("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n");
    responder.write("data: [DONE]\n\n");
    responder.finish();
  });
  start_and_wait(config_for({&upstream}));
  const std::string chat = R"({"model":"m","messages":[{"role":"user","content":"hi"}]})";
  EXPECT_EQ(call("POST", "/v1/chat/completions", chat)->status, 200);
  EXPECT_EQ(call("POST", "/v1/chat/completions", R"({"model":"m","stream":true,"messages":[]})")->status, 200);
  EXPECT_EQ(call("POST", "/v1/chat/completions", R"({"model":"other","messages":[]})")->status, 404);
  EXPECT_EQ(call("POST", "/v1/chat/completions", "{")->status, 400);
  EXPECT_EQ(call("GET", "/v1/models")->status, 200);
  EXPECT_EQ(call("GET", "/nothing")->status, 404);
  call("POST", "/route", R"({"input_token_id":1})");
  const auto metrics = probe("/metrics");
  ASSERT_EQ(metrics->status, 200);
  EXPECT_EQ(metrics->headers.find("Content-Type").value_or(""), "text/plain; version=0.0.4; charset=utf-8");
  const auto [code, said] = check(metrics->body);
  EXPECT_EQ(code, 0) << said << metrics->body;
  EXPECT_EQ(said, "");
}

}  // namespace
}  // namespace flexpert::gateway
