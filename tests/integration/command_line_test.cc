// Exit codes and messages: 0 done, 1 failed, 2 wrong use; one line says what to do.
#include <algorithm>

#include <gtest/gtest.h>

#include "integration/test_fleet.h"
#include "net/stream.h"

namespace flexpert::integration {
namespace {

const std::string kModel = FLEXPERT_SOURCE_DIR "/models/flexpert-tiny-moe";

TEST(CommandLine, WrongUseExitsTwoWithOneLine) {
  for (const auto& arguments : std::vector<std::vector<std::string>>{
           {}, {"nonsense"}, {"up"}, {"serve", "--threads", "none", "--model", kModel}, {"load", "--rate", "-1", "--prompts", "x"}, {"pack", "-o", "x"}}) {
    const Finished finished = run_program(arguments);
    EXPECT_EQ(finished.exit_code, 2) << finished.output;
    EXPECT_EQ(std::count(finished.output.begin(), finished.output.end(), '\n'), 1) << finished.output;
  }
}

TEST(CommandLine, EveryCommandExplainsItself) {
  for (const char* command : {"up", "status", "check", "demo", "load", "serve", "expert", "pack", "gateway", "controller", "place"}) {
    const Finished finished = run_program({command, "--help"});
    EXPECT_EQ(finished.exit_code, 0);
    EXPECT_NE(finished.output.find("Example"), std::string::npos) << finished.output;
  }
  EXPECT_EQ(run_program({"version"}).exit_code, 0);
}

TEST(CommandLine, WrongConfigurationNamesFileLineAndField) {
  const TemporaryFolder folder;
  const std::string config = folder.write("wrong.yaml", "gateway:\n  lisen: 127.0.0.1:9000\n");
  for (const char* command : {"up", "check", "gateway", "controller", "demo"}) {
    const Finished finished = run_program({command, "-c", config});
    EXPECT_EQ(finished.exit_code, 1);
    EXPECT_NE(finished.output.find("wrong.yaml:2"), std::string::npos) << command << ": " << finished.output;
    EXPECT_NE(finished.output.find("lisen"), std::string::npos) << finished.output;
  }
  const Finished missing = run_program({"up", "-c", folder.path() + "/missing.yaml"});
  EXPECT_EQ(missing.exit_code, 1);
  EXPECT_NE(missing.output.find("missing.yaml"), std::string::npos);
}

TEST(CommandLine, CheckAcceptsTheShippedExampleAndRefusesExpertsThatTheModelDoesNotHave) {
  const TemporaryFolder folder;
  const std::string good = "model:\n  path: " + kModel + "\n  groups:\n    - name: A\n      slots: [[0, 1]]\n";
  const std::string bad = "model:\n  path: " + kModel + "\n  groups:\n    - name: A\n      slots: [[6, 1]]\n";
  EXPECT_EQ(run_program({"check", "-c", folder.write("good.yaml", good)}).exit_code, 0);
  const Finished finished = run_program({"check", "-c", folder.write("bad.yaml", bad)});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_NE(finished.output.find("[6, 1]"), std::string::npos) << finished.output;
}

TEST(CommandLine, PackIsMadeVerifiedAndItsDamageFound) {
  const TemporaryFolder folder;
  const std::string pack = folder.path() + "/experts.pack";
  EXPECT_EQ(run_program({"pack", "--model", kModel, "-o", pack, "--verify"}).exit_code, 0);
  std::string bytes = read_file(pack);
  ASSERT_GT(bytes.size(), 1000000U);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  const Finished damaged = run_program({"pack", "--verify", "-o", folder.write("damaged.pack", bytes)});
  EXPECT_EQ(damaged.exit_code, 1);
  EXPECT_NE(damaged.output.find("hash"), std::string::npos) << damaged.output;
  const Finished truncated = run_program({"expert", "--pack", folder.write("truncated.pack", bytes.substr(0, 100000)), "--listen", "127.0.0.1:0"});
  EXPECT_EQ(truncated.exit_code, 1) << truncated.output;
}

TEST(CommandLine, ServeSaysWhatIsMissingInAModelFolder) {
  const TemporaryFolder folder;
  const Finished finished = run_program({"serve", "--model", folder.path(), "--listen", "127.0.0.1:0"});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_NE(finished.output.find("config.json"), std::string::npos) << finished.output;
}

TEST(CommandLine, UpRefusesExpertsThatTheModelDoesNotHaveBeforeItStartsAnything) {
  const TemporaryFolder folder;
  const std::string text = "gateway: {listen: '127.0.0.1:0', metrics_listen: '127.0.0.1:0'}\ncontroller: {listen: '127.0.0.1:0'}\nruntime_dir: " + folder.path() +
                           "/run\nmodel:\n  path: " + kModel + "\n  groups:\n    - name: A\n      slots: [[0, 32]]\n";
  const Finished finished = run_program({"up", "-c", folder.write("bad.yaml", text)});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_NE(finished.output.find("[0, 32]"), std::string::npos) << finished.output;
  EXPECT_EQ(finished.output.find("packed"), std::string::npos) << finished.output;
}

TEST(CommandLine, AnUnknownCommandIsNamedWithThoseThatThereAre) {
  const Finished finished = run_program({"sevre"});
  EXPECT_EQ(finished.exit_code, 2);
  EXPECT_NE(finished.output.find("\"sevre\""), std::string::npos) << finished.output;
  EXPECT_NE(finished.output.find("serve"), std::string::npos) << finished.output;
}

TEST(CommandLine, AnExpertServerClosesOnRandomBytesAndShowsTheCount) {
  const TemporaryFolder folder;
  const std::string pack = folder.path() + "/experts.pack";
  ASSERT_EQ(run_program({"pack", "--model", kModel, "-o", pack}).exit_code, 0);
  net::EventLoop loop;
  const std::string socket = folder.path() + "/expert.sock";
  RunningProgram server(loop, {"expert", "--pack", pack, "--listen", "unix:" + socket, "--metrics", "unix:" + folder.path() + "/metrics.sock"});
  ASSERT_FALSE(server.wait_for_line("metrics on", Seconds(30)).empty()) << server.output();

  struct Foreigner final : net::StreamHandler {
    bool closed = false;
    void on_bytes(std::string_view) override {}
    void on_closed(const Error*) override { closed = true; }
  } foreigner;
  auto stream = net::Stream::connect(loop, net::Address{.is_unix = true, .host_or_path = socket}, Seconds(10), &foreigner);
  ASSERT_TRUE(stream);
  (*stream)->write("GET / HTTP/1.1\r\nHost: no-expert-protocol\r\nUser-Agent: long enough for a frame's head\r\n\r\n");
  EXPECT_TRUE(run_until(loop, Seconds(20), [&] { return foreigner.closed; }));

  http::Request request;
  request.method = "GET";
  request.target = "/metrics";
  const auto metrics = http::fetch(net::Address{.is_unix = true, .host_or_path = folder.path() + "/metrics.sock"}, request, Seconds(10));
  ASSERT_TRUE(metrics) << metrics.error().message;
  EXPECT_NE(metrics->body.find("flexpert_expert_server_rejected_connections_total 1"), std::string::npos) << metrics->body;
}

TEST(CommandLine, LoadAgainstNobodyFailsAtOnce) {
  const Finished finished = run_program({"load", "--url", "http://127.0.0.1:1", "--prompts", kModel + "/prompts/code.json", "--duration", "1"});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_NE(finished.output.find("127.0.0.1:1"), std::string::npos) << finished.output;
}

}  // namespace
}  // namespace flexpert::integration
