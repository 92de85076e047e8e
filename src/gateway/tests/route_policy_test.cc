// /route by the policy: what a caller's rights do to a call, and who hears of it.
#include <filesystem>
#include <fstream>

#include "codec/internal_grant.h"
#include "crypto/hmac_key.h"
#include "gateway/tests/route_world.h"

namespace flexpert::gateway {
namespace {

class RoutePolicy : public RouteTest {
 protected:
  RoutePolicy() {
    std::string name = (std::filesystem::temp_directory_path() / "flexpert-route-XXXXXX").string();
    folder = ::mkdtemp(name.data());
  }
  ~RoutePolicy() override { std::filesystem::remove_all(folder); }
  [[nodiscard]] std::string file(const std::string& name, const std::string& text) const {
    std::ofstream(folder + "/" + name) << text;
    std::filesystem::permissions(folder + "/" + name, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    return folder + "/" + name;
  }
  static std::string text_of(const std::string& path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static std::string error(const Seen& seen, std::string_view field) {
    return boost::json::value_to<std::string>(object_of(seen).at("error").at({field.data(), field.size()}));
  }

  std::string folder;
};

TEST_F(RoutePolicy, TheCostOfAGroupWeighsAgainstItsLoad) {
  config.access.rules.groups[0].cost = 4;
  begin();
  hold = true;
  std::vector<std::shared_ptr<Seen>> calls;
  for (std::size_t i = 0; i < 5; ++i) {
    calls.push_back(send("POST", "/route", R"({"token_id": 1, "expert_names": ["A", "B"]})", json_headers()));
    ASSERT_TRUE(until([&] { return held.size() == i + 1; }));
  }
  // B until three calls are under way there: a fourth would cost as much as the first at A, which was not used yet.
  std::string order;
  for (const auto& question : asked) order += boost::json::value_to<std::string>(question.at("calls").at(0).at("name"));
  EXPECT_EQ(order, "BBBAB");
  for (std::size_t i = 0; i < held.size(); ++i) answer(asked[i], held[i]);
  for (const auto& one : calls) EXPECT_TRUE(until([&] { return one->over(); }));
  EXPECT_EQ(gateway->load(), 0U);
}

TEST_F(RoutePolicy, TheModelServerIsToldWhatIsClosedToTheCaller) {
  const std::string secret(40, 's');
  config.access.internal_secret_file = file("secret", secret);
  begin();
  ASSERT_EQ(route(R"({"token_id": 7, "expert_names": ["A"]})")->status, 200);
  ASSERT_EQ(route(R"({"token_id": 7, "expert_names": ["A"]})", "PREMIUM_USER_TOKEN")->status, 200);
  ASSERT_EQ(grants.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    const auto split = codec::split_internal_grant(grants[i]);
    ASSERT_TRUE(split && crypto::HmacKey(secret).verify(split->payload, split->signature));
    const auto grant = codec::parse_internal_grant(split->payload);
    ASSERT_TRUE(grant);
    EXPECT_EQ(grant->rights.forbidden, i == 0 ? ExpertSet(config.model->groups[2].slots) : ExpertSet());
    EXPECT_EQ(grant->body_sha256, crypto::sha256(boost::json::serialize(asked[i])));
    EXPECT_FALSE(grant->request_id.empty());
  }
}

TEST_F(RoutePolicy, WhatClientsSayInInternalFieldsGoesNowhere) {
  begin();
  auto headers = json_headers();
  headers.add("X-Flexpert-Grant", "v1.AAAA.AAAA");
  headers.add("X_Flexpert_Grant", "v1.AAAA.AAAA");
  ASSERT_EQ(call("POST", "/route", R"({"token_id": 7, "expert_names": ["A"]})", headers)->status, 200);
  EXPECT_EQ(grants.back(), "");
}

TEST_F(RoutePolicy, DenialsAndDowngradesAreAudited) {
  config.gateway.log.audit = folder + "/audit.log";
  begin();
  ASSERT_EQ(route(R"({"token_id": 1, "expert_names": ["A", "C"]})")->status, 200);
  ASSERT_EQ(route(R"({"token_id": 1, "expert_names": ["C"]})")->status, 403);
  ASSERT_EQ(route(R"({"token_id": 1, "expert_names": ["A"]})")->status, 200);
  const std::string log = text_of(folder + "/audit.log");
  EXPECT_NE(log.find(R"("event":"downgraded")"), std::string::npos) << log;
  EXPECT_NE(log.find(R"("event":"denied")"), std::string::npos) << log;
  EXPECT_NE(log.find(R"("reason":"expert_forbidden")"), std::string::npos) << log;
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 2) << log;
}

TEST_F(RoutePolicy, APolicyThatChangesBetweenTwoAttemptsIsKeptTo) {
  const std::string groups = "expert_groups:\n  - name: G\n    model: flexpert-tiny-moe\n    slots: [[0, 6]{}]\n";
  config.access.policy_file = file("policy.yaml", fmt::format(fmt::runtime(groups), ""));
  begin();
  gateway->reload();
  hold = true;
  std::shared_ptr<Seen> seen;
  ASSERT_TRUE(until([&] {
    if (seen == nullptr || seen->over()) seen = send("POST", "/route", R"({"token_id": 1, "expert_names": ["G"]})", json_headers());
    loop.run_once(Milliseconds(1));
    return held.size() == 1;
  }));
  hold = false;
  // What G holds now is closed to a caller who was let in before.
  (void)file("policy.yaml", fmt::format(fmt::runtime(groups), ", [2, 8]"));
  gateway->reload();
  ASSERT_TRUE(until([&] { return route(R"({"token_id": 1, "expert_names": ["G"]})")->status == 403; }));
  held[0].respond(http::openai_error(404, "no replica", "invalid_request_error", {}, "call G"));
  ASSERT_TRUE(until([&] { return seen->over(); }));
  EXPECT_EQ(seen->status, 403);
  EXPECT_EQ(error(*seen, "code"), "expert_forbidden");
  EXPECT_EQ(held.size(), 1U);
  EXPECT_EQ(gateway->load(), 0U);
}

TEST_F(RoutePolicy, AServerThatDoesNotTakeOurWordIsNotTheClientsFault) {
  begin();
  fail_status = 401;
  EXPECT_EQ(error(*route(R"({"token_id": 1, "expert_names": ["A"]})"), "code"), "grant_refused");
  fail_status = 403;
  const auto refused = route(R"({"token_id": 1, "expert_names": ["A"]})");
  EXPECT_EQ(refused->status, 403);
  EXPECT_EQ(error(*refused, "code"), "expert_forbidden");
}

}  // namespace
}  // namespace flexpert::gateway
