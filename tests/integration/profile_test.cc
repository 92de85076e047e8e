// `flexpert profile` against a paced model server, whose step times are known.
#include <csignal>
#include <filesystem>

#include <boost/json.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "integration/test_fleet.h"

namespace flexpert::integration {
namespace {

namespace json = boost::json;

class Profile : public testing::Test {
 protected:
  void SetUp() override {
    const std::string pace = folder_.write("pace.json", R"({"base_ms":20,"per_token_us":200,"per_kv_token_us":10})");
    serve_ = std::make_unique<RunningProgram>(loop_, std::vector<std::string>{"serve", "--model", FLEXPERT_SOURCE_DIR "/models/flexpert-tiny-moe", "--pace", pace,
                                                                              "--listen", "127.0.0.1:0", "--kv-blocks", "256"});
    const std::string line = serve_->wait_for_line("listening on", Seconds(60));
    ASSERT_NE(line, "") << serve_->output();
    const std::size_t at = line.find("127.0.0.1:");
    url_ = "http://" + line.substr(at, line.find(',', at) - at);
  }
  [[nodiscard]] std::vector<std::string> arguments(std::vector<std::string> more = {}) const {
    std::vector<std::string> all{"profile", url_, "-o", output_, "--isl", "32,64,128,200", "--context", "64,200", "--concurrency", "1,4", "--osl", "16", "--repeats", "1"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }

  TemporaryFolder folder_;
  net::EventLoop loop_;
  std::unique_ptr<RunningProgram> serve_;
  std::string url_;
  std::string output_ = folder_.path() + "/profile.json";
};

TEST_F(Profile, MeasuresWhatTheEngineWasPacedTo) {
  const Finished finished = run_program(arguments());
  ASSERT_EQ(finished.exit_code, 0) << finished.output;
  const json::value profile = json::parse(read_file(output_));
  const auto& isl = profile.at("prefill").at("isl").as_array();
  ASSERT_EQ(isl.size(), 4U);
  for (std::size_t i = 0; i < isl.size(); ++i) {
    const auto tokens = isl[i].to_number<double>();
    EXPECT_GE(profile.at("prefill").at("ttft_ms").at(i).to_number<double>(), 20 + 0.2 * tokens) << tokens << ": no step is shorter than its pace";
  }
  const auto& itl = profile.at("decode").at("itl_ms").as_array();
  ASSERT_EQ(itl.size(), 4U);
  for (const json::value& ms : itl) EXPECT_GE(ms.to_number<double>(), 20);
  EXPECT_EQ(profile.at("decode").at("max_kv_tokens").to_number<double>(), 256 * 16);
}

TEST_F(Profile, AConfigurationTakesWhatItWrote) {
  ASSERT_EQ(run_program(arguments()).exit_code, 0);
  const auto check = [&](const std::string& profile) {
    const std::string config = folder_.write("pools.yaml", fmt::format("pools:\n  - name: tiny\n    launch: {{model: {}}}\n    policies: [{{name: sla, kind: sla, "
                                                                       "model: engine, profile: {}}}]\n",
                                                                       FLEXPERT_SOURCE_DIR "/models/flexpert-tiny-moe", profile));
    return run_program({"check", "-c", config});
  };
  EXPECT_EQ(check(output_).exit_code, 0) << check(output_).output;
  const Finished broken = check(folder_.write("broken.json", R"({"format":"flexpert-profile/1","prefill":{"isl":[1,2,3]}})"));
  EXPECT_EQ(broken.exit_code, 1);
  EXPECT_NE(broken.output.find("pools[0].policies[0].profile: the profile cannot be used"), std::string::npos) << broken.output;
}

TEST_F(Profile, GoesOnWhereAnInterruptedRunWas) {
  {
    RunningProgram first(loop_, arguments());
    ASSERT_TRUE(run_until(loop_, Seconds(60), [&] { return std::filesystem::exists(output_ + ".points"); }));
    first.signal(SIGINT);
    ASSERT_TRUE(first.wait_for_exit(Seconds(20)));
  }
  const std::size_t points = json::parse(read_file(output_ + ".points")).at("prefill").as_array().size();
  ASSERT_GE(points, 1U);
  const Finished second = run_program(arguments());
  ASSERT_EQ(second.exit_code, 0) << second.output;
  EXPECT_EQ(second.output.find("8 of 8 points measured now"), std::string::npos) << second.output;
  EXPECT_NE(run_program(arguments()).output.find("0 of 8 points measured now"), std::string::npos);
}

TEST_F(Profile, RefusesAFileOfOtherSettingsAndEnginesThatAreNotThere) {
  ASSERT_EQ(run_program(arguments()).exit_code, 0);
  const Finished other = run_program(arguments({"--gpus", "2"}));
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_NE(other.output.find("measured with other settings"), std::string::npos) << other.output;
  EXPECT_NE(run_program({"profile", "http://127.0.0.1:1"}).output.find("Connection refused"), std::string::npos);
}

}  // namespace
}  // namespace flexpert::integration
