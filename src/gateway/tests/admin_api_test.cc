#include <fstream>
#include <iterator>

#include "crypto/hmac_key.h"
#include "crypto/secret_file.h"
#include "crypto/tests/test_certificates.h"
#include "gateway/tests/gateway_world.h"
#include "store/key_store.h"

namespace flexpert::gateway {
namespace {

/// A gateway with an admin listener and three people: one may look, one may operate, one may do neither.
class AdminApiTest : public GatewayWorld {
 protected:
  AdminApiTest() {
    config::FleetConfig config = config_for({&upstream});
    config.gateway.listeners.admin = "127.0.0.1:0";
    config.gateway.log.audit = folder.write("audit.jsonl", "");
    config.access.anonymous = config.access.rules.anonymous = false;
    config.access.keys_file = folder.write("k", "") + ".db";
    config.access.pepper_file = folder.write("p", "") + ".pepper";
    config.access.rules.roles = {{.name = "viewer", .models = {"*"}, .expert_groups = {}, .denied_expert_groups = {}, .admin = 1},
                                 {.name = "operator", .models = {}, .expert_groups = {}, .denied_expert_groups = {}, .admin = 1 | 2},
                                 {.name = "user", .models = {"*"}, .expert_groups = {}, .denied_expert_groups = {}, .admin = 0}};
    audit_file = config.gateway.log.audit;
    EXPECT_TRUE(crypto::ensure_secret_file(config.access.pepper_file));
    for (const std::string role : {"viewer", "operator", "user"}) {
      auth::ApiKeyRecord record;
      record.id = "key_" + role;
      record.digest = crypto::HmacKey(*crypto::read_secret_file(config.access.pepper_file)).sign(text(role));
      record.tenant = "ops";
      record.roles = {role};
      record.created_unix_ms = 1;
      EXPECT_TRUE((*store::KeyStore::open(config.access.keys_file))->add(record));
    }
    start_and_wait(config);
    auto bound = gateway->listen_for_admin();
    EXPECT_TRUE(bound && *bound);
    if (bound && *bound) admin = **bound;
  }

  /// Ends it before the folder goes that it looks into.
  ~AdminApiTest() override { gateway.reset(); }

  /// The text of a role's key.
  static std::string text(const std::string& role) { return "fx-" + role + std::string(43 - role.size(), 'A'); }
  static http::Headers key(const std::string& role) {
    http::Headers headers;
    headers.add("Authorization", "Bearer " + text(role));
    return headers;
  }
  std::shared_ptr<Seen> ask(const std::string& method, const std::string& target, const std::string& role) {
    auto seen = send_to(admin, method, target, "", role.empty() ? http::Headers() : key(role));
    EXPECT_TRUE(until([&] { return seen->over(); }));
    return seen;
  }
  std::string audit() const {
    std::ifstream file(audit_file);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::shared_ptr<Seen> chat() { return call("POST", "/v1/chat/completions", R"({"model":"m","messages":[]})", key("user")); }

  crypto::TestFolder folder;
  FakeServer upstream{loop, [](const http::Request&, http::Responder responder) { responder.respond(http::json_response(200, "{}")); }};
  net::Address admin;
  std::string audit_file;
};

TEST_F(AdminApiTest, ShowsTheStateToWhoMayLook) {
  const auto seen = ask("GET", "/admin/v1/status", "viewer");
  EXPECT_EQ(seen->status, 200);
  EXPECT_NE(seen->body.find("\"upstreams_ready\":1"), std::string::npos) << seen->body;
  EXPECT_NE(ask("GET", "/admin/v1/upstreams", "viewer")->body.find("\"id\":\"up-0\""), std::string::npos);
}

TEST_F(AdminApiTest, RefusesWhoHasNoSuchRight) {
  EXPECT_EQ(ask("GET", "/admin/v1/status", "")->status, 401);
  EXPECT_EQ(ask("GET", "/admin/v1/status", "user")->status, 403);
  EXPECT_EQ(ask("POST", "/admin/v1/reload", "viewer")->status, 403);
  EXPECT_EQ(ask("GET", "/admin/v1/keys", "operator")->status, 403);
  EXPECT_NE(audit().find("admin_forbidden"), std::string::npos) << audit();
}

TEST_F(AdminApiTest, AnUpstreamThatIsDrainedGetsNothingUntilItIsResumed) {
  ASSERT_EQ(chat()->status, 200);
  ASSERT_EQ(ask("POST", "/admin/v1/upstreams/up%2D0/drain", "operator")->status, 200);
  EXPECT_EQ(chat()->status, 503);
  EXPECT_EQ(upstream.requests.size(), 1U);
  EXPECT_EQ(ask("POST", "/admin/v1/upstreams/up-0/resume", "operator")->status, 200);
  EXPECT_EQ(chat()->status, 200);
  EXPECT_NE(audit().find("upstream.drain"), std::string::npos) << audit();
}

TEST_F(AdminApiTest, SaysWhatIsWrongWithACall) {
  EXPECT_EQ(ask("POST", "/admin/v1/upstreams/nothing/drain", "operator")->status, 404);
  EXPECT_EQ(ask("GET", "/admin/v1/nothing", "operator")->status, 404);
  const auto seen = ask("GET", "/admin/v1/reload", "operator");
  EXPECT_EQ(seen->status, 405);
  EXPECT_EQ(seen->headers.find("Allow"), "POST");
  EXPECT_EQ(ask("POST", "/admin/v1/reload", "operator")->status, 202);
}

}  // namespace
}  // namespace flexpert::gateway
