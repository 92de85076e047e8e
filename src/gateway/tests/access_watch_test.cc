#include "gateway/access_watch.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/log.h"
#include "config/key_records.h"
#include "crypto/secret_file.h"
#include "gateway/access_files.h"
#include "store/key_store.h"

namespace flexpert::gateway {
namespace {

constexpr const char* kPolicy = "roles:\n  user: {models: [m]}\n";

class AccessWatchTest : public testing::Test {
 protected:
  void SetUp() override {
    log::configure(log::Level::kOff, "test");
    std::string pattern = (std::filesystem::temp_directory_path() / "flexpert-access-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    dir_ = pattern;
  }
  void TearDown() override {
    watch_.reset();
    std::filesystem::remove_all(dir_);
  }

  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(dir_ + "/new") << text;  // a watch at 2 ms could see it half written
    std::filesystem::rename(dir_ + "/new", dir_ + "/" + name);
    return dir_ + "/" + name;
  }
  config::FleetConfig config(const std::string& access) const {
    auto parsed = config::parse("upstreams: [{url: 'http://h:1'}]\n" + access, "f.yaml");
    EXPECT_TRUE(parsed) << parsed.error().message;
    return std::move(*parsed);
  }
  void start(const config::FleetConfig& config) {
    auto started = AccessWatch::start(loop_, clock_, config, registry_,
                                      {.access = [this](const AccessSnapshot&) { ++snapshots_; },
                                       .certificates = [this] { ++certificates_; },
                                       .audit =
                                           [this](const telemetry::AuditRecord& record) {
                                             acts_.push_back(fmt::format("{} {} {}", record.action, record.object, record.reason));
                                           }},
                                      Milliseconds(2));
    ASSERT_TRUE(started) << started.error().message;
    watch_ = std::move(*started);
  }
  bool until(const std::function<bool()>& condition) {
    const TimePoint give_up = clock_.now() + Seconds(10);
    while (!condition() && clock_.now() < give_up) loop_.run_once(Milliseconds(5));
    return condition();
  }
  bool may(const std::string& role, const std::string& model) const {
    return watch_->snapshot().policy->grant({auth::Credential::kApiKey, "k", "t", {role}})->model(model) != nullptr;
  }
  /// Makes a key as `flexpert keys create` does, and returns its text.
  std::string add_key(const std::string& store, const std::string& id) const {
    EXPECT_TRUE(crypto::ensure_secret_file(store + ".pepper"));
    const std::string text = "fx-" + id;
    auth::ApiKeyRecord record{.id = id,
                              .digest = crypto::HmacKey(*crypto::read_secret_file(store + ".pepper")).sign(text),
                              .name = {},
                              .tenant = "t",
                              .roles = {"user"},
                              .created_unix_ms = 1,
                              .replaced_by = {}};
    EXPECT_TRUE((*store::KeyStore::open(store))->add(record));
    return text;
  }
  const auth::ApiKeyRecord* find(const std::string& text) const {
    const AccessSnapshot& now = watch_->snapshot();
    return now.keys == nullptr || now.pepper == nullptr ? nullptr : now.keys->find(now.pepper->sign(text), clock_.unix_ms());
  }

  net::EventLoop loop_;
  SystemClock clock_;
  telemetry::Registry registry_;
  std::string dir_;
  std::unique_ptr<AccessWatch> watch_;
  int snapshots_ = 0;
  int certificates_ = 0;
  std::vector<std::string> acts_;
};

TEST_F(AccessWatchTest, AChangedPolicyIsInForceWithoutARestart) {
  const std::string policy = write("policy.yaml", kPolicy);
  start(config("access: {policy_file: " + policy + "}\n"));
  EXPECT_TRUE(may("user", "m"));
  EXPECT_EQ(watch_->snapshot().policy->rules().revision.size(), 16U);
  const auto before = watch_->snapshot().policy;
  write("policy.yaml", "roles:\n  user: {models: [n]}\n");
  ASSERT_TRUE(until([&] { return snapshots_ == 1; }));
  EXPECT_TRUE(may("user", "n"));
  EXPECT_FALSE(may("user", "m"));
  EXPECT_NE(before->grant({auth::Credential::kApiKey, "k", "t", {"user"}})->model("m"), nullptr)
      << "who was let in by the old one keeps it";
  ASSERT_EQ(acts_.size(), 1U);
  EXPECT_EQ(acts_[0], "policy.reload " + watch_->snapshot().policy->rules().revision + " changed");
}

TEST_F(AccessWatchTest, ABrokenPolicyIsNotTakenAndItsMendingIs) {
  const std::string policy = write("policy.yaml", kPolicy);
  start(config("access: {policy_file: " + policy + "}\n"));
  write("policy.yaml", "roles:\n  user: {modles: [n]}\n");
  ASSERT_TRUE(until([&] { return acts_.size() == 1; }));
  EXPECT_NE(acts_[0].find("policy.yaml:2: roles.user.modles: unknown key"), std::string::npos) << acts_[0];
  EXPECT_EQ(snapshots_, 0);
  EXPECT_TRUE(may("user", "m"));
  EXPECT_EQ(registry_.gauge("flexpert_gateway_access_files_bad", "").value(), 1);
  write("policy.yaml", "roles:\n  user: {models: [o]}\n");
  ASSERT_TRUE(until([&] { return snapshots_ == 1; }));
  EXPECT_TRUE(may("user", "o"));
  EXPECT_EQ(registry_.gauge("flexpert_gateway_access_files_bad", "").value(), 0);
}

TEST_F(AccessWatchTest, AKeyIsKnownSoonAfterItWasMadeAndUnknownSoonAfterItWasRevoked) {
  const std::string store = dir_ + "/keys.db";
  start(config("access: {keys_file: " + store + "}\n"));
  const std::string text = add_key(store, "key_a");
  ASSERT_TRUE(until([&] { return find(text) != nullptr; }));
  EXPECT_EQ(find("fx-other"), nullptr);
  const auto process = *store::KeyStore::open(store);
  ASSERT_TRUE(process->revoke("key_a", clock_.unix_ms()));
  ASSERT_TRUE(until([&] { return find(text) == nullptr; }));
  ASSERT_TRUE(until([&] { return acts_.size() == 2; }));
  EXPECT_EQ(acts_, (std::vector<std::string>{"keys.create key_a changed", "keys.revoke key_a changed"}));
}

TEST_F(AccessWatchTest, KeysOfBothFilesAreGood) {
  const std::string store = dir_ + "/keys.db";
  const std::string one = add_key(store, "key_a");
  auth::ApiKeyRecord record{.id = "key_b",
                            .digest = crypto::HmacKey(*crypto::read_secret_file(store + ".pepper")).sign("fx-b"),
                            .name = {},
                            .tenant = "t",
                            .roles = {"user"},
                            .replaced_by = {}};
  const std::string yaml = write("keys.yaml", "keys:\n" + config::key_record_line(record) + "\n");
  start(config("access: {keys_file: " + store + ", keys_yaml: " + yaml + "}\n"));
  EXPECT_NE(find(one), nullptr);
  EXPECT_NE(find("fx-b"), nullptr);
}

TEST_F(AccessWatchTest, KeysWithoutTheirPepperAreAnError) {
  const std::string store = dir_ + "/keys.db";
  add_key(store, "key_a");
  std::filesystem::remove(store + ".pepper");
  const auto started = AccessWatch::start(loop_, clock_, config("access: {keys_file: " + store + "}\n"), registry_, {});
  ASSERT_FALSE(started);
  EXPECT_NE(started.error().message.find("keys.db.pepper"), std::string::npos) << started.error().message;
}

TEST_F(AccessWatchTest, CertificatesThatChangeAreTold) {
  const std::string certificate = write("c.pem", "one"), key = write("k.pem", "one");
  config::FleetConfig with_tls =
      config("gateway: {tls: {certificate_file: " + certificate + ", key_file: " + key + "}}\naccess: {anonymous: true}\n");
  start(with_tls);
  write("c.pem", "another");
  ASSERT_TRUE(until([&] { return certificates_ == 1; }));
  EXPECT_EQ(snapshots_, 0);
}

TEST_F(AccessWatchTest, ReloadReadsAtOnceAndEndingInTheMiddleIsHarmless) {
  const std::string policy = write("policy.yaml", kPolicy);
  start(config("access: {policy_file: " + policy + "}\n"));
  watch_->reload();
  watch_->reload();
  EXPECT_EQ(certificates_, 2);
  ASSERT_TRUE(until([&] { return snapshots_ == 2; }));
  watch_->reload();
  watch_.reset();
  loop_.run_once(Milliseconds(1));
  EXPECT_EQ(snapshots_, 2);
}

TEST_F(AccessWatchTest, RolesOfKeysThatThePolicyDoesNotKnowAreWarnedOf) {
  const std::string store = dir_ + "/keys.db";
  add_key(store, "key_a");
  const auto files = read_access_files(config("access: {keys_file: " + store + "}\n"));
  ASSERT_TRUE(files) << files.error().message;
  ASSERT_EQ(files->warnings.size(), 1U);
  EXPECT_NE(files->warnings[0].find("the policy has no role user, which 1 API key(s) name"), std::string::npos) << files->warnings[0];
}

TEST(AccessFiles, WhatIsSetInCodeCountsAsWhatIsInAFile) {
  config::FleetConfig config;
  config.access.anonymous = true;
  config.model.emplace().name = "m";
  config.model->groups = {{.name = "C", .security = "high", .slots = {{0, 1}}}};
  config.tokens = {{.name = "premium", .sha256 = std::string(64, 'a'), .groups = {"C"}}};
  const auto files = read_access_files(config);
  ASSERT_TRUE(files) << files.error().message;
  const auto snapshot = make_access_snapshot(*files);
  ASSERT_TRUE(snapshot);
  const auto nobody = snapshot->policy->grant({auth::Credential::kNone, "", "anonymous", {}});
  EXPECT_TRUE(nobody->model("m")->restricted());
  EXPECT_EQ(nobody->model("m")->digest.size(), 64U);
  EXPECT_FALSE(
      snapshot->policy->grant({auth::Credential::kAccessToken, "premium", "t", {"everything", "token:premium"}})->model("m")->restricted());
}

}  // namespace
}  // namespace flexpert::gateway
