#include "gateway/engine_registration.h"

#include <optional>

#include <gtest/gtest.h>

namespace flexpert::gateway {
namespace {

/// An engine on a wire that the test holds in its hands.
struct FakeEngine {
  http::OutboundListener* listener = nullptr;  ///< of the probe that waits for an answer
  std::string head;
  int probes = 0;

  struct Wire final : http::OutboundUpstream {
    struct Sent final : http::OutboundRequest {
      explicit Sent(FakeEngine& of) : engine(of) {}
      void cancel() override { engine.listener = nullptr; }
      void set_reading(bool) override {}
      FakeEngine& engine;
    };
    explicit Wire(FakeEngine& of) : engine(of), sent(of) {}
    http::OutboundRequest* send(std::string_view text, std::span<const std::string_view>, bool, http::OutboundListener& to) override {
      engine.head = text;
      engine.listener = &to;
      ++engine.probes;
      return &sent;
    }
    [[nodiscard]] std::size_t idle_connections() const override { return 0; }
    [[nodiscard]] std::size_t open_connections() const override { return 0; }
    FakeEngine& engine;
    Sent sent;
  };

  void answer(int status, std::string_view body) {
    ASSERT_NE(listener, nullptr) << "no probe waits";
    codec::Http1ResponseView view;
    view.status = status;
    http::OutboundListener& to = *listener;
    to.on_head(view);
    to.on_body(body);
    listener = nullptr;
    to.on_end();
  }
  void break_off() {
    http::OutboundListener& to = *std::exchange(listener, nullptr);
    to.on_error(http::OutboundFailure::kConnect, {ErrorCode::kUnavailable, "connection refused"});
  }
};

constexpr std::string_view kLists = R"({"data":[{"id":"m"},{"id":"n"}]})";

class EngineRegistrationTest : public ::testing::Test {
 protected:
  void start(RegistrationOptions options) {
    registration = std::make_unique<EngineRegistration>(
        loop, directory, std::move(options),
        [this](const ModelServer& server) {
          connected_to.push_back(server.address.to_string());
          return std::make_unique<FakeEngine::Wire>(engine);
        },
        [this](const net::Address& address, EngineRegistration::Found found) -> Result<std::shared_ptr<void>> {
          looked_up.push_back(address.host_or_path);
          if (resolve_at_once) found(std::vector<net::Address>(resolved));
          else waiting = std::move(found);
          return std::make_shared<int>(0);
        });
  }
  void SetUp() override {
    start({.secret = "pool-secret", .networks = *RegistrationNetworks::parse({"10.0.0.0/8"}), .lifetime = Milliseconds(300), .probe_interval = Milliseconds(40)});
  }
  EngineRegistration::Answer call(std::string_view method, std::string_view body, std::string_view secret = "pool-secret") {
    std::optional<EngineRegistration::Answer> got;
    registration->handle(method, body, secret, [&](EngineRegistration::Answer answer) { got = std::move(answer); });
    EXPECT_TRUE(got.has_value());
    return got.value_or(EngineRegistration::Answer{});
  }
  bool until(const std::function<bool()>& condition) {
    const TimePoint give_up = SystemClock().now() + Seconds(5);
    while (!condition() && SystemClock().now() < give_up) loop.run_once(Milliseconds(5));
    return condition();
  }
  bool serves(std::string_view model) {
    ModelPool* pool = directory.find(model);
    return pool != nullptr && pool->all().any_usable(loop.now());
  }

  net::EventLoop loop;
  ServerDirectory directory;
  FakeEngine engine;
  std::vector<std::string> connected_to;
  std::vector<std::string> looked_up;
  std::vector<net::Address> resolved{{.host_or_path = "10.0.0.7", .port = 8000}};
  bool resolve_at_once = true;
  EngineRegistration::Found waiting;
  std::unique_ptr<EngineRegistration> registration;
};

TEST_F(EngineRegistrationTest, NothingIsServedUntilAProbeProvesTheModel) {
  EXPECT_EQ(call("POST", R"({"url":"http://10.0.0.5:8000","models":["m","absent"],"weight":2})").status, 202);
  EXPECT_EQ(engine.head, "GET /v1/models HTTP/1.1\r\nHost: 10.0.0.5:8000\r\nAccept: application/json\r\nConnection: close\r\n\r\n");
  EXPECT_FALSE(directory.knows("m"));
  engine.answer(200, kLists);
  EXPECT_TRUE(serves("m"));
  EXPECT_FALSE(directory.knows("n"));
  EXPECT_FALSE(directory.knows("absent"));
  const ModelServer& server = directory.servers().at("10.0.0.5:8000");
  EXPECT_FALSE(server.own);
  EXPECT_EQ(server.endpoint->weight, 2);
  EXPECT_NE(call("GET", "").body.find(R"("state":"ready")"), std::string::npos);
}

TEST_F(EngineRegistrationTest, AFailedProbeServesNothingAndSaysWhy) {
  call("POST", R"({"url":"http://10.0.0.5:8000","models":["m"]})");
  engine.answer(200, R"({"data":[{"id":"something else"}]})");
  EXPECT_FALSE(serves("m"));
  EXPECT_NE(call("GET", "").body.find("lists none of the models"), std::string::npos);
  ASSERT_TRUE(until([&] { return engine.listener != nullptr; }));
  engine.answer(500, "");
  EXPECT_NE(call("GET", "").body.find("answered 500"), std::string::npos);
  ASSERT_TRUE(until([&] { return engine.listener != nullptr; }));
  engine.answer(200, "not json");
  EXPECT_FALSE(serves("m"));
  ASSERT_TRUE(until([&] { return engine.listener != nullptr; }));
  engine.break_off();
  EXPECT_NE(call("GET", "").body.find("connection refused"), std::string::npos);
}

TEST_F(EngineRegistrationTest, AnEngineThatFallsIllIsTakenOutAndComesBack) {
  call("POST", R"({"url":"http://10.0.0.5:8000"})");
  engine.answer(200, kLists);
  EXPECT_TRUE(serves("m") && serves("n"));
  ASSERT_TRUE(until([&] { return engine.listener != nullptr; }));
  engine.break_off();
  EXPECT_FALSE(serves("m"));
  ASSERT_TRUE(until([&] { return engine.listener != nullptr; }));
  engine.answer(200, kLists);
  EXPECT_TRUE(serves("m"));
}

TEST_F(EngineRegistrationTest, ExpiresUnlessRenewed) {
  call("POST", R"({"url":"http://10.0.0.5:8000","models":["m"]})");
  engine.answer(200, kLists);
  const TimePoint renewed_until = SystemClock().now() + Milliseconds(600);
  ASSERT_TRUE(until([&] {
    EXPECT_EQ(call("POST", R"({"url":"http://10.0.0.5:8000","models":["m"]})").status, 200);
    return SystemClock().now() > renewed_until;
  }));
  EXPECT_EQ(connected_to.size(), 1U);
  EXPECT_EQ(registration->engines(), 1U);
  ASSERT_TRUE(until([&] { return registration->engines() == 0; }));
  EXPECT_FALSE(directory.knows("m"));
}

TEST_F(EngineRegistrationTest, OtherModelsHaveToBeProvedAnew) {
  call("POST", R"({"url":"http://10.0.0.5:8000","models":["m"]})");
  engine.answer(200, kLists);
  EXPECT_EQ(call("POST", R"({"url":"http://10.0.0.5:8000","models":["n"]})").status, 200);
  EXPECT_FALSE(serves("m") || serves("n"));
  engine.answer(200, kLists);
  EXPECT_TRUE(serves("n"));
  EXPECT_FALSE(serves("m"));
}

TEST_F(EngineRegistrationTest, LeavesWhenItSaysSoAndRequestsThereGoOn) {
  call("POST", R"({"url":"http://10.0.0.5:8000","models":["m"]})");
  engine.answer(200, kLists);
  Rng rng(1);
  ServerPick made = directory.pick(*directory.find("m"), {}, false, loop.now(), rng);
  EXPECT_EQ(call("DELETE", R"({"url":"http://10.0.0.5:8000/"})").status, 200);
  EXPECT_EQ(directory.find("m"), nullptr);
  EXPECT_EQ(made.ticket.endpoint()->in_flight, 1U);
  EXPECT_EQ(call("DELETE", R"({"url":"http://10.0.0.5:8000"})").status, 404);
}

TEST_F(EngineRegistrationTest, NobodyRegistersWithoutTheSecretOrFromElsewhere) {
  constexpr std::string_view kBody = R"({"url":"http://10.0.0.5:8000"})";
  for (const std::string_view secret : {"", "pool-secre", "pool-secret ", "Pool-secret"}) {
    for (const std::string_view method : {"POST", "DELETE", "GET"}) EXPECT_EQ(call(method, kBody, secret).status, 401);
  }
  for (const std::string_view url : {"http://169.254.169.254", "http://11.0.0.1:80", "http://127.0.0.1:8000", "http://localhost:8000", "http://[::1]:80",
                                     "http://[fe80::1]:80", "http://[::ffff:10.0.0.1]:80", "https://192.168.0.1"})
    EXPECT_EQ(call("POST", fmt::format(R"({{"url":"{}"}})", url)).status, 403) << url;
  EXPECT_TRUE(connected_to.empty());
  EXPECT_EQ(registration->engines(), 0U);
}

TEST_F(EngineRegistrationTest, IsOffWithoutASecretOrNetworks) {
  for (const bool secret : {true, false}) {
    start({.secret = secret ? "pool-secret" : "", .networks = secret ? RegistrationNetworks() : *RegistrationNetworks::parse({"10.0.0.0/8"})});
    EXPECT_EQ(call("POST", R"({"url":"http://10.0.0.5:8000"})", secret ? "pool-secret" : "").status, 403);
  }
}

TEST_F(EngineRegistrationTest, ANameIsLookedUpOnceAndItsAddressStays) {
  EXPECT_EQ(call("POST", R"({"url":"http://engine.example:8000","models":["m"]})").status, 202);
  engine.answer(200, kLists);
  resolved = {{.host_or_path = "169.254.169.254", .port = 8000}};
  EXPECT_EQ(call("POST", R"({"url":"http://engine.example:8000","models":["m"]})").status, 200);
  EXPECT_EQ(looked_up.size(), 1U);
  EXPECT_EQ(connected_to, std::vector<std::string>{"10.0.0.7:8000"});
  EXPECT_EQ(directory.servers().at("engine.example:8000").address.to_string(), "10.0.0.7:8000");
  EXPECT_EQ(directory.servers().at("engine.example:8000").host, "engine.example:8000");
}

TEST_F(EngineRegistrationTest, ANameWithAnyForbiddenAddressIsRefused) {
  resolved.push_back({.host_or_path = "127.0.0.1", .port = 8000});
  EXPECT_EQ(call("POST", R"({"url":"http://rebind.example:8000"})").status, 403);
  resolved.clear();
  EXPECT_EQ(call("POST", R"({"url":"http://nothing.example:8000"})").status, 400);
  EXPECT_TRUE(connected_to.empty());
}

TEST_F(EngineRegistrationTest, AnAnswerOfTheNameServerMayComeLateOrNever) {
  resolve_at_once = false;
  int status = 0;
  registration->handle("POST", R"({"url":"http://engine.example:8000"})", "pool-secret", [&](const EngineRegistration::Answer& answer) { status = answer.status; });
  EXPECT_EQ(status, 0);
  waiting(std::vector<net::Address>(resolved));
  EXPECT_EQ(status, 202);
  registration->handle("POST", R"({"url":"http://other.example:8000"})", "pool-secret", [&](const EngineRegistration::Answer&) { status = -1; });
  registration.reset();
  EXPECT_EQ(status, 202);
}

TEST_F(EngineRegistrationTest, NeverTakesAConfiguredServersPlace) {
  directory.add_configured({.id = "10.0.0.5:8000", .address = {.host_or_path = "10.0.0.5", .port = 8000}, .models = {"m"}});
  EXPECT_EQ(call("POST", R"({"url":"http://10.0.0.5:8000","models":["m"]})").status, 409);
}

TEST_F(EngineRegistrationTest, RefusesBodiesThatAreNotWhatTheyShouldBe) {
  for (const std::string_view bad :
       {"", "[]", "{}", "{", R"({"url":7})", R"({"url":"10.0.0.5:8000"})", R"({"url":"http://"})", R"({"url":"http://10.0.0.5:8000/v1"})",
        R"({"url":"http://user@10.0.0.5:8000"})", R"({"url":"http://10.0.0.5:8000?x"})", R"({"url":"http://10.0.0.5:99999"})", R"({"url":"http://10.0.0.5:0"})",
        R"({"url":"unix:/run/x.sock"})", R"({"url":"http://unix:80"})", R"({"url":"http://2130706433:80"})", R"({"url":"file:///etc/passwd"})",
        R"({"url":"http://*:80"})", R"({"url":"http://10.0.0.5:8000","models":"m"})", R"({"url":"http://10.0.0.5:8000","models":[""]})",
        R"({"url":"http://10.0.0.5:8000","models":["a\nb"]})", R"({"url":"http://10.0.0.5:8000","weight":0})",
        R"({"url":"http://10.0.0.5:8000","weight":"1"})", R"({"url":"http://10.0.0.5:8000","weight":1e9})", R"({"url":"http://10.0.0.5:8000","own":true})"}) {
    EXPECT_EQ(call("POST", bad).status, 400) << bad;
  }
  EXPECT_EQ(call("PUT", "{}").status, 405);
}

TEST_F(EngineRegistrationTest, AProbeThatIsNeverAnsweredEnds) {
  start({.secret = "s", .networks = *RegistrationNetworks::parse({"10.0.0.0/8"}), .probe_timeout = Milliseconds(30)});
  call("POST", R"({"url":"http://10.0.0.5:8000"})", "s");
  ASSERT_TRUE(until([&] { return engine.listener == nullptr; }));
  EXPECT_NE(call("GET", "", "s").body.find("no answer in time"), std::string::npos);
}

TEST_F(EngineRegistrationTest, AModelListWithoutEndIsCutOff) {
  call("POST", R"({"url":"http://10.0.0.5:8000"})");
  codec::Http1ResponseView view;
  view.status = 200;
  engine.listener->on_head(view);
  const std::string piece(64 * 1024, ' ');
  for (int i = 0; i < 100 && engine.listener != nullptr; ++i) engine.listener->on_body(piece);
  EXPECT_EQ(engine.listener, nullptr);
  EXPECT_NE(call("GET", "").body.find("the answer is over"), std::string::npos);
}

}  // namespace
}  // namespace flexpert::gateway
