#include "config/access_reader.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

#include "auth/policy.h"

namespace flexpert::config {
namespace {

const std::string kUpstream = "upstreams: [{url: 'http://h:1'}]\n";
const std::string kModel = "model:\n  path: m/tiny\n  groups: [{name: C, security: high, cost: 2, slots: [[0, 5]]}]\n";

std::string message_of(const std::string& text) {
  const auto config = parse(text, "f.yaml");
  return config ? "no error" : config.error().message;
}

class PolicyFile {
 public:
  explicit PolicyFile(const std::string& text)
      : path_((std::filesystem::temp_directory_path() / ("flexpert-policy-" + std::to_string(::getpid()) + ".yaml")).string()) {
    write(text);
  }
  ~PolicyFile() { std::filesystem::remove(path_); }
  PolicyFile(const PolicyFile&) = delete;
  PolicyFile& operator=(const PolicyFile&) = delete;
  void write(const std::string& text) const { std::ofstream(path_) << text; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST(AccessConfig, EveryFieldIsRead) {
  const auto config = parse(kModel + R"(
access:
  keys_file: keys.db
  keys_yaml: keys.yaml
  pepper_file: pepper
  internal_secret_file: internal
  pool_secret_file: pool
  pool_networks: [10.0.0.0/8, "fd00::/8"]
  anonymous: true
  anonymous_roles: [guest]
  policy:
    roles:
      guest: {models: [tiny]}
      admin: {admin: [view, operate, keys, register]}
  jwt:
    - issuer: https://login.example.com/
      audiences: [flexpert]
      jwks_url: https://login.example.com/keys
      ca_file: /etc/flexpert/login.pem
      algorithms: [ES256, PS384]
      leeway_s: 1
      refresh_s: 2
      min_refresh_s: 3
      tenant_claim: org.id
      roles_claim: realm_access.roles
      default_roles: [guest]
      allowed_roles: [guest, admin]
      allowed_tenants: [acme, umbrella]
)", "f.yaml");
  ASSERT_TRUE(config) << config.error().message;
  const AccessConfig& access = config->access;
  EXPECT_EQ(access.keys_file, "keys.db");
  EXPECT_EQ(access.keys_yaml, "keys.yaml");
  EXPECT_EQ(access.pepper_file, "pepper");
  EXPECT_EQ(access.internal_secret_file, "internal");
  EXPECT_EQ(access.pool_secret_file, "pool");
  EXPECT_EQ(access.pool_networks.size(), 2U);
  EXPECT_TRUE(access.anonymous && access.rules.anonymous);
  EXPECT_EQ(access.rules.anonymous_roles, std::vector<std::string>{"guest"});
  EXPECT_EQ(access.rules.roles[1].admin, 15);
  ASSERT_EQ(access.rules.groups.size(), 1U);
  EXPECT_EQ(access.rules.groups[0].model, "tiny");
  EXPECT_EQ(access.rules.groups[0].cost, 2);
  ASSERT_EQ(access.jwt.size(), 1U);
  EXPECT_EQ(access.jwt[0].algorithms, (std::vector<std::string>{"ES256", "PS384"}));
  EXPECT_EQ(access.jwt[0].ca_file, "/etc/flexpert/login.pem");
  EXPECT_EQ(access.jwt[0].tenant_claim, "org.id");
  EXPECT_EQ(access.jwt[0].min_refresh_s, 3);
  EXPECT_EQ(access.jwt[0].allowed_roles.size(), 2U);
  EXPECT_EQ(access.jwt[0].allowed_tenants, (std::vector<std::string>{"acme", "umbrella"}));
}

TEST(AccessConfig, NobodyIsLetInUnlessTheFileSaysSo) {
  const auto config = parse(kUpstream, "f.yaml");
  ASSERT_TRUE(config);
  EXPECT_FALSE(config->access.anonymous || config->access.rules.anonymous);
}

TEST(AccessConfig, AnAccessTokenOpensItsGroupsThroughARoleOfItsOwn) {
  const auto config = parse(
      kModel + "access:\n  anonymous: true\n  tokens: [{name: premium, sha256: " + std::string(64, 'a') + ", groups: [C]}]\n", "f.yaml");
  ASSERT_TRUE(config) << config.error().message;
  auto policy = *auth::Policy::compile(config->access.rules);
  const auto grant = [&](std::vector<std::string> roles) {
    return policy->grant({auth::Credential::kAccessToken, "premium", "t", std::move(roles)});
  };
  EXPECT_TRUE(grant({"everything"})->model("tiny")->restricted());
  EXPECT_FALSE(grant({"everything", token_role("premium")})->model("tiny")->restricted());
  EXPECT_EQ(grant({token_role("premium")})->model("tiny"), nullptr);
}

TEST(AccessConfig, KeysHaveTheirPepperBesideThemUnlessTheFileSaysOtherwise) {
  EXPECT_EQ(parse(kUpstream + "access: {keys_file: a/keys.db}\n", "f.yaml")->access.pepper_file, "a/keys.db.pepper");
  EXPECT_EQ(parse(kUpstream + "access: {keys_yaml: k.yaml}\n", "f.yaml")->access.pepper_file, "k.yaml.pepper");
}

TEST(AccessConfig, APolicyFileIsReadOnTopOfTheModelsGroupsAndAnew) {
  const PolicyFile file(
      "roles:\n  premium: {models: [tiny], expert_groups: [C, D]}\nexpert_groups: [{name: D, model: tiny, slots: [[1, 1]]}]\n");
  const auto config = parse(kModel + "access: {policy_file: " + file.path() + "}\n", "f.yaml");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->access.rules.groups.size(), 2U);
  EXPECT_EQ(config->access.rules.roles[0].name, "premium");
  file.write("roles:\n  basic: {models: [tiny]}\n");
  const auto again = reload_rules(*config);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->groups.size(), 1U);
  EXPECT_EQ(again->roles[0].name, "basic");
  file.write("roles:\n  basic: {modles: [tiny]}\n");
  const auto broken = reload_rules(*config);
  ASSERT_FALSE(broken);
  EXPECT_NE(broken.error().message.find(file.path() + ":2: roles.basic.modles: unknown key"), std::string::npos) << broken.error().message;
}

struct Case {
  const char* text;
  const char* message;
};

TEST(AccessConfig, WhatCannotBeIsSaidWithItsLine) {
  const Case cases[] = {
      {"access: {anonymous: yes}\n", "access.anonymous: yes is given; allowed: true or false"},
      {"access: {anonymous_roles: [everything]}\n", "access.anonymous_roles: anonymous callers are not let in"},
      {"access: {anonymous: true, anonymous_roles: [root]}\n", "access.anonymous_roles: there is no role root"},
      {"access:\n  anonymous: true\n  anonymous_roles: [a]\n  policy: {roles: {a: {admin: [view]}}}\n",
       "f.yaml:5: access.policy: anonymous_roles: role a has admin rights"},
      {"access: {policy_file: p.yaml, policy: {}}\n", "access.policy: policy_file is given, too"},
      {"access:\n  policy_file: /nonexistent/p.yaml\n",
       "f.yaml:3: access.policy_file: /nonexistent/p.yaml: the configuration cannot be opened"},
      {"access: {jwt: [{audiences: [a], jwks_file: f}]}\n", "access.jwt[0].issuer: the key is missing"},
      {"access: {jwt: [{issuer: i, jwks_file: f}]}\n", "access.jwt[0].audiences: the key is missing"},
      {"access: {jwt: [{issuer: i, audiences: [], jwks_file: f}]}\n", "access.jwt[0].audiences: no audience is given"},
      {"access: {jwt: [{issuer: i, audiences: [a]}]}\n", "access.jwt[0].jwks_url: the key is missing"},
      {"access: {jwt: [{issuer: i, audiences: [a], jwks_file: f, jwks_url: 'http://h'}]}\n",
       "access.jwt[0].jwks_url: jwks_file is given, too"},
      {"access: {jwt: [{issuer: i, audiences: [a], jwks_url: 'http://h', ca_file: c}]}\n",
       "access.jwt[0].ca_file: certificates are given for keys that do not come over TLS"},
      {"access: {jwt: [{issuer: i, audiences: [a], jwks_file: f, ca_file: c}]}\n",
       "access.jwt[0].ca_file: certificates are given for keys that do not come over TLS"},
      {"access: {jwt: [{issuer: i, audiences: [a], jwks_url: 'file:///x'}]}\n", "access.jwt[0].jwks_url: this is no address of a key set"},
      {"access: {jwt: [{issuer: i, audiences: [a], jwks_file: f, algorithms: [none]}]}\n", "access.jwt[0].algorithms: none is given"},
      {"access: {jwt: [{issuer: i, audiences: [a], jwks_file: f, algorithms: [RS256, HS256]}]}\n",
       "access.jwt[0].algorithms: shared secrets and signatures are mixed"},
      {"access: {jwt: [{issuer: i, audiences: [a], jwks_url: 'http://h', algorithms: [HS256]}]}\n",
       "access.jwt[0].algorithms: a shared secret is given for keys that are fetched"},
      {"access: {jwt: [{issuer: i, audiences: [a], jwks_file: f, default_roles: [x]}]}\n", "access.jwt: there is no role x"},
      {"access: {jwt: [{issuer: i, audiences: [a], jwks_file: f}, {issuer: i, audiences: [a], jwks_file: g}]}\n",
       "access.jwt[1].issuer: issuer i is already given"},
      {"access: {pool_networks: [10.0.0.0/8]}\n",
       "access.pool_networks: one of pool_secret_file and pool_networks is given without the other"},
      {"access: {pool_secret_file: s, pool_networks: [10.1.0.0/8]}\n", "access.pool_networks: 10.1.0.0/8 is given"},
  };
  for (const Case& c : cases)
    EXPECT_NE(message_of(kUpstream + c.text).find(c.message), std::string::npos)
        << "wanted: " << c.message << "\n   got: " << message_of(kUpstream + c.text);
}

TEST(AccessConfig, ANetworkIsAnAddressAndAPrefixWithNothingBehindIt) {
  for (const char* good : {"10.0.0.0/8", "0.0.0.0/0", "192.168.7.4/32", "::1/128", "fd00::/8", "::/0", "172.16.0.0/12"})
    EXPECT_TRUE(is_network(good)) << good;
  for (const char* bad : {"", "/8", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.1/8", "::1/129", "fd00::1/8", "10.0.0.0/8 ",
                          "10.0.0.0/-1", "h/8", "10.0.0.0/8/8"})
    EXPECT_FALSE(is_network(bad)) << bad;
}

}  // namespace
}  // namespace flexpert::config
