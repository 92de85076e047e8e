// What `flexpert place` exchanges with others: forms of files, and running engines.
#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "codec/recorder_dump.h"
#include "http/server.h"
#include "integration/place_files.h"

namespace flexpert::integration {
namespace {

TEST(PlaceExchange, CountsComeBackUnchangedFromEveryForm) {
  const PlaceFiles files;
  std::string from = files.loads;
  for (const char* name : {"a.npy", "b.csv", "c.pt"}) {
    const Finished done = place({"convert", from, files.at(name)});
    ASSERT_EQ(done.exit_code, 0) << done.output;
    from = files.at(name);
  }
  ASSERT_EQ(place({"convert", from, files.at("back.json"), "--to", "logical_count"}).exit_code, 0);
  EXPECT_EQ(read_file(files.at("back.json")), read_file(files.loads));
}

TEST(PlaceExchange, LayoutsComeBackUnchangedFromEveryForm) {
  const PlaceFiles files;
  ASSERT_EQ(place({"plan", files.loads, "--devices", "4", "-o", files.at("plan.json")}).exit_code, 0);
  std::string from = files.at("plan.json");
  for (const char* format : {"sglang", "vllm", "ascend", "ours"}) {
    const Finished done = place({"convert", from, files.at(std::string(format) + ".json"), "--to", format, "--devices", "4"});
    ASSERT_EQ(done.exit_code, 0) << format << ": " << done.output;
    from = files.at(std::string(format) + ".json");
  }
  EXPECT_EQ(place({"diff", files.at("plan.json"), files.at("sglang.json")}).exit_code, 0) << "the devices are the plan's";
  const Finished diff = place({"diff", files.at("plan.json"), from, "--json"});
  ASSERT_EQ(diff.exit_code, 0) << diff.output;
  EXPECT_EQ(boost::json::parse(diff.output).at("changed").to_number<int>(), 0) << diff.output;
}

TEST(PlaceExchange, SglangsPtIsWrittenAndRead) {
  const PlaceFiles files;
  ASSERT_EQ(place({"plan", files.loads, "--devices", "4", "-o", files.at("location.pt"), "--format", "sglang"}).exit_code, 0);
  const Finished done = place({"evaluate", files.at("location.pt"), files.loads, "--devices", "4"});
  EXPECT_EQ(done.exit_code, 0) << done.output;
}

/// An engine as SGLang is: text answers, and a dump that appears in a folder.
class SglangEngine {
 public:
  SglangEngine(net::EventLoop& loop, const PlaceFiles& files)
      : server_(loop, {}, [this, &files](const http::Request& request, http::Responder responder) {
          calls.push_back(request.method + " " + request.target);
          if (request.target == "/dump_expert_distribution_record") {
            ExpertCounts counts{{2, 4}, {1, 2, 3, 4, 5, 6, 7, 8}, 0};
            files.write("expert_distribution_recorder_" + std::to_string(calls.size()) + ".pt", *codec::write_stat_dump({counts}));
          }
          responder.respond({request.target.starts_with("/internal") ? 404 : 200, {}, "done\n"});
        }) {
    address = *server_.listen(*net::Address::parse("127.0.0.1:0"));
  }
  net::Address address;
  std::vector<std::string> calls;

 private:
  http::Server server_;
};

TEST(PlaceExchange, RecordDrivesSglangsEndpointsAndReadsItsDumps) {
  const PlaceFiles files;
  net::EventLoop loop;
  SglangEngine engine(loop, files);
  RunningProgram record(loop, {"place", "record", "http://" + engine.address.to_string(), "--seconds", "0.4", "--windows", "2",
                               "--dump-dir", files.folder.path(), "-o", files.at("recorded.json")});
  const auto exit = record.wait_for_exit(Seconds(30));
  ASSERT_TRUE(exit && exit->code == 0) << record.output();
  EXPECT_EQ(read_file(files.at("recorded.json")), "{\"logical_count\":[[[1,2,3,4],[5,6,7,8]],[[1,2,3,4],[5,6,7,8]]]}\n");
  const std::vector<std::string> window = {"POST /start_expert_distribution_record", "POST /stop_expert_distribution_record",
                                           "POST /dump_expert_distribution_record"};
  ASSERT_EQ(engine.calls.size(), 7U) << record.output();
  EXPECT_EQ(std::vector<std::string>(engine.calls.begin() + 1, engine.calls.begin() + 4), window);
}

TEST(PlaceExchange, WithoutTheDumpFolderRecordSaysWhereTheDumpIs) {
  const PlaceFiles files;
  net::EventLoop loop;
  SglangEngine engine(loop, files);
  RunningProgram record(loop,
                        {"place", "record", "http://" + engine.address.to_string(), "--seconds", "0.1", "-o", files.at("recorded.json")});
  const auto exit = record.wait_for_exit(Seconds(30));
  ASSERT_TRUE(exit && exit->code == 1) << record.output();
  EXPECT_NE(record.output().find("--dump-dir"), std::string::npos) << record.output();
}

TEST(PlaceExchange, AModelServersCountsAreRecordedByWindowsAndPlanned) {
  const PlaceFiles files;
  const std::string model = FLEXPERT_SOURCE_DIR "/models/flexpert-tiny-moe";
  net::EventLoop loop;
  RunningProgram server(loop, {"serve", "--model", model, "--listen", "unix:" + files.at("model.sock")});
  ASSERT_TRUE(run_until(loop, Seconds(60), [&] {
    http::Request ready{.method = "GET", .target = "/ready"};
    const auto answer = http::fetch(*net::Address::parse("unix:" + files.at("model.sock")), ready, Seconds(5));
    return answer && answer->status == 200;
  })) << server.output();
  RunningProgram record(loop, {"place", "record", "unix:" + files.at("model.sock"), "--seconds", "3", "-o", files.at("recorded.json")});
  http::Request request{
      .method = "POST", .target = "/v1/completions", .body = "{\"model\":\"flexpert-tiny-moe\",\"prompt\":\"2 + 2 =\",\"max_tokens\":16}"};
  request.headers.set("Content-Type", "application/json");
  const auto answer = http::fetch(*net::Address::parse("unix:" + files.at("model.sock")), request, Seconds(30));
  ASSERT_TRUE(answer && answer->status == 200);
  const auto exit = record.wait_for_exit(Seconds(30));
  ASSERT_TRUE(exit && exit->code == 0) << record.output();
  const Finished planned = place({"plan", files.at("recorded.json"), "--devices", "4", "--json"});
  EXPECT_EQ(planned.exit_code, 0) << planned.output;
  const Finished live = place({"plan", "unix:" + files.at("model.sock"), "--devices", "4", "--json"});
  EXPECT_EQ(live.exit_code, 0) << live.output;
}

}  // namespace
}  // namespace flexpert::integration
