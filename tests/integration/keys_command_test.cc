// `flexpert keys` as a person or a script uses it.
#include <algorithm>
#include <filesystem>

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "auth/api_key.h"
#include "config/key_records.h"
#include "crypto/hmac_key.h"
#include "crypto/secret_file.h"
#include "integration/test_fleet.h"
#include "store/key_store.h"

namespace flexpert::integration {
namespace {

namespace json = boost::json;

class KeysCommand : public testing::Test {
 protected:
  Finished keys(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "keys");
    if (std::find(arguments.begin(), arguments.end(), "--record") == arguments.end())
      arguments.insert(arguments.end(), {"--store", store_});
    return run_program(arguments);
  }
  json::object made(std::vector<std::string> arguments) const {
    arguments.push_back("--json");
    const Finished finished = keys(std::move(arguments));
    EXPECT_EQ(finished.exit_code, 0) << finished.output;
    boost::system::error_code error;
    const json::value value = json::parse(finished.output, error);
    EXPECT_TRUE(value.is_object()) << finished.output;
    return value.is_object() ? value.as_object() : json::object();
  }
  static std::string text(const json::object& object, const char* key) {
    return object.at(key).is_string() ? std::string(object.at(key).as_string()) : std::string();
  }
  auth::KeyDigest digest_of(const std::string& key) const {
    return crypto::HmacKey(*crypto::read_secret_file(store_ + ".pepper")).sign(key);
  }
  std::vector<auth::ApiKeyRecord> stored() const { return *(*store::KeyStore::open_existing(store_))->all(); }

  TemporaryFolder folder_;
  std::string store_ = folder_.path() + "/keys.db";
};

TEST_F(KeysCommand, AKeyIsShownOnceAndOnlyItsDigestIsStored) {
  const json::object created = made({"create", "--tenant", "acme", "--role", "user", "--role", "premium", "--name", "ci"});
  const std::string key = text(created, "key");
  EXPECT_TRUE(auth::is_api_key_text(key)) << key;
  const auto records = stored();
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0].digest, digest_of(key));
  EXPECT_EQ(records[0].id, text(created, "id"));
  EXPECT_EQ(records[0].roles, (std::vector<std::string>{"user", "premium"}));
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path()))
    EXPECT_EQ(read_file(entry.path().string()).find(key.substr(3)), std::string::npos) << entry.path();
  EXPECT_EQ(keys({"list"}).output.find(key), std::string::npos);
  EXPECT_NE(keys({"list"}).output.find("premium"), std::string::npos);
}

TEST_F(KeysCommand, RotationKeepsTenantRolesAndNameAndEndsTheOldKeyAfterTheGrace) {
  const json::object first = made({"create", "--tenant", "acme", "--role", "user", "--name", "ci", "--expires", "90d"});
  const json::object second = made({"rotate", text(first, "id"), "--grace", "2h"});
  EXPECT_NE(text(second, "key"), text(first, "key"));
  const auto records = stored();
  ASSERT_EQ(records.size(), 2U);
  const auto& old = records[0].id == text(first, "id") ? records[0] : records[1];
  const auto& fresh = records[0].id == text(first, "id") ? records[1] : records[0];
  EXPECT_EQ(old.replaced_by, fresh.id);
  EXPECT_EQ(old.expires_unix_ms, fresh.created_unix_ms + 2 * 3'600'000);
  EXPECT_EQ(fresh.expires_unix_ms, fresh.created_unix_ms + 90LL * 86'400'000);
  EXPECT_EQ(fresh.name, "ci");
  EXPECT_EQ(keys({"rotate", text(first, "id")}).exit_code, 1);
}

TEST_F(KeysCommand, ARevokedKeyIsListedAsSuchAndAnUnknownOneIsAnError) {
  const json::object created = made({"create", "--tenant", "acme", "--role", "user"});
  EXPECT_EQ(text(made({"revoke", text(created, "id")}), "state"), "revoked");
  EXPECT_NE(stored()[0].revoked_unix_ms, 0);
  const Finished unknown = keys({"revoke", "key_0000000000000000"});
  EXPECT_EQ(unknown.exit_code, 1);
  EXPECT_NE(unknown.output.find("keys list"), std::string::npos) << unknown.output;
}

TEST_F(KeysCommand, WrongUseExitsTwoAndWhatCannotBeOne) {
  EXPECT_EQ(run_program({"keys"}).exit_code, 2);
  EXPECT_EQ(run_program({"keys", "list"}).exit_code, 2);
  EXPECT_EQ(keys({"create", "--tenant", "t"}).exit_code, 2);
  EXPECT_EQ(keys({"create", "--tenant", "t", "--role", "r", "--expires", "soon"}).exit_code, 2);
  EXPECT_EQ(keys({"create", "--tenant", "t", "--role", "a b"}).exit_code, 1);
  EXPECT_EQ(keys({"create", "--tenant", "anonymous", "--role", "r"}).exit_code, 1);
  EXPECT_EQ(keys({"list"}).exit_code, 1);
}

TEST_F(KeysCommand, ALostPepperIsNotMadeAnew) {
  made({"create", "--tenant", "t", "--role", "r"});
  std::filesystem::remove(store_ + ".pepper");
  const Finished finished = keys({"create", "--tenant", "t", "--role", "r"});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_NE(finished.output.find("keys.db.pepper is missing"), std::string::npos) << finished.output;
}

TEST_F(KeysCommand, ARecordGoesIntoAYamlFileThatTheGatewayReads) {
  const std::string yaml = folder_.path() + "/keys.yaml", pepper = folder_.path() + "/pepper";
  const json::object first = made({"create", "--record", yaml, "--pepper", pepper, "--tenant", "A \"B\"", "--role", "user"});
  made({"create", "--record", yaml, "--pepper", pepper, "--tenant", "t", "--role", "user"});
  const auto records = config::load_key_records(yaml);
  ASSERT_TRUE(records) << records.error().message;
  ASSERT_EQ(records->size(), 2U);
  EXPECT_EQ((*records)[0].tenant, "A \"B\"");
  EXPECT_EQ((*records)[0].digest, crypto::HmacKey(*crypto::read_secret_file(pepper)).sign(text(first, "key")));
}

TEST_F(KeysCommand, TheConfigurationNamesTheFilesAndItsPolicyTheRoles) {
  const std::string config = folder_.write("gateway.yaml", "upstreams: [{url: 'http://127.0.0.1:1'}]\naccess:\n  keys_file: " + store_ +
                                                               "\n  policy: {roles: {user: {models: [m]}}}\n");
  EXPECT_EQ(run_program({"keys", "create", "-c", config, "--tenant", "t", "--role", "user"}).output.find("no role"), std::string::npos);
  const Finished unknown = run_program({"keys", "create", "-c", config, "--tenant", "t", "--role", "usr"});
  EXPECT_EQ(unknown.exit_code, 0);
  EXPECT_NE(unknown.output.find("the policy has no role usr"), std::string::npos) << unknown.output;
  EXPECT_EQ(stored().size(), 2U);
}

}  // namespace
}  // namespace flexpert::integration
