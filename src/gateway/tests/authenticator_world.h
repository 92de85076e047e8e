#pragma once

#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/base64url.h"
#include "codec/http1_scan.h"
#include "config/access_reader.h"
#include "crypto/tests/jws_signing.h"
#include "gateway/authenticator.h"
#include "http/server.h"
#include "net/event_loop.h"

namespace flexpert::gateway {

/// The head of a request as the data plane hands it on.
class Head {
 public:
  explicit Head(std::string target = "/v1/models") {
    view.method = "GET";
    view.target = texts_.emplace_back(std::move(target));
  }
  Head(const Head&) = delete;
  Head& operator=(const Head&) = delete;
  Head& field(const std::string& name, const std::string& value) {
    const codec::Http1KnownField known = codec::http1_known_field(name);
    view.fields.push_back({texts_.emplace_back(name), texts_.emplace_back(value), known});
    codec::http1_scan::note_field(view, known);
    return *this;
  }
  Head& bearer(const std::string& credential) { return field("Authorization", "Bearer " + credential); }
  codec::Http1RequestView view;

 private:
  std::deque<std::string> texts_;
};

/// A policy, keys and issuers, an authenticator over them, and a key server.
class AuthenticatorWorld : public ::testing::Test {
 protected:
  AuthenticatorWorld()
      : key_server(loop, {},
                   [this](const http::Request&, http::Responder responder) {
                     ++fetches;
                     if (hold) return held.push_back(std::move(responder));
                     responder.respond(key_server_answer);
                   }),
        folder(std::filesystem::temp_directory_path() / ("flexpert-authenticator-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(folder);
    const auto bound = key_server.listen(*net::Address::parse("127.0.0.1:0"));
    url = "http://" + bound->to_string() + "/jwks";
    rules.roles = {{.name = "user", .models = {"m"}, .expert_groups = {}, .denied_expert_groups = {}, .admin = 0},
                   {.name = "admin", .models = {"*"}, .expert_groups = {}, .denied_expert_groups = {}, .admin = 1}};
  }
  ~AuthenticatorWorld() override { std::filesystem::remove_all(folder); }

  AccessSnapshot snapshot() {
    AccessSnapshot access;
    access.policy = *auth::Policy::compile(rules);
    access.keys = std::make_shared<const auth::ApiKeys>(*auth::ApiKeys::make(records));
    access.pepper = pepper;
    access.tokens = std::make_shared<const auth::AccessTokens>(tokens);
    return access;
  }
  /// Makes a key and its record.
  std::string add_key(const std::string& id, const std::string& tenant, std::vector<std::string> roles) {
    const std::string key = "fx-" + to_base64url(crypto::random_bytes(32));
    records.push_back({.id = id, .digest = pepper->sign(key), .name = {}, .tenant = tenant, .roles = std::move(roles), .replaced_by = {}});
    return key;
  }
  config::JwtIssuerConfig issuer() {
    config::JwtIssuerConfig config;
    config.issuer = "https://idp";
    config.audiences = {"gateway"};
    config.jwks_url = url;
    config.algorithms = {"ES256"};
    return config;
  }
  void write_file(const std::string& name, const std::string& text) { std::ofstream(folder / name) << text; }
  /// Begins anew with what is set up.
  Result<void> start() {
    auto made = CredentialAuthenticator::create(loop, clock, issuers, snapshot());
    if (!made) return fail(made.error());
    authenticator = std::move(*made);
    return {};
  }
  bool until(const std::function<bool()>& condition) {
    const SystemClock real;
    const TimePoint give_up = real.now() + Seconds(10);
    while (!condition()) {
      if (real.now() > give_up) return false;
      loop.run_once(Milliseconds(20));
    }
    return true;
  }
  /// Returns the verdict, waiting for a fetch if there is one.
  AuthResult ask(const Head& head) {
    std::optional<AuthResult> got;
    auto verdict = authenticator->authenticate(head.view, [&got](AuthResult result) { got = std::move(result); });
    waited = std::holds_alternative<std::unique_ptr<Authenticator::Pending>>(verdict);
    if (!waited) return std::move(std::get<AuthResult>(verdict));
    EXPECT_TRUE(until([&] { return got.has_value(); }));
    return got ? std::move(*got) : AuthResult(Refusal{.status = 0, .message = "no verdict"});
  }
  CallerPtr caller(const Head& head) {
    const AuthResult result = ask(head);
    const CallerPtr* const found = std::get_if<CallerPtr>(&result);
    return found == nullptr ? nullptr : *found;
  }
  /// The refusal's status and code, or "served".
  std::string refusal(const Head& head) {
    const AuthResult result = ask(head);
    const Refusal* const refused = std::get_if<Refusal>(&result);
    return refused == nullptr ? "served" : fmt::format("{} {}", refused->status, refused->code);
  }
  /// Claims of a token that is good now, with `more` members at the end.
  std::string claims(const std::string& more = "") const {
    return fmt::format(R"({{"iss":"https://idp","aud":"gateway","sub":"alice","exp":{}{}}})", clock.unix_ms() / 1000 + 600, more);
  }
  static http::Response key_set(std::initializer_list<std::string> jwks) {
    return http::json_response(200, fmt::format("{{\"keys\":[{}]}}", fmt::join(jwks, ",")));
  }

  FakeClock clock;
  net::EventLoop loop;
  int fetches = 0;
  bool hold = false;
  std::deque<http::Responder> held;
  http::Response key_server_answer = http::json_response(500, "{}");
  http::Server key_server;
  std::string url;
  std::filesystem::path folder;
  auth::PolicyRules rules;
  std::vector<auth::ApiKeyRecord> records;
  std::vector<auth::AccessToken> tokens;
  std::vector<config::JwtIssuerConfig> issuers;
  std::shared_ptr<const crypto::HmacKey> pepper = std::make_shared<const crypto::HmacKey>("pepper");
  std::unique_ptr<CredentialAuthenticator> authenticator;
  bool waited = false;
};

}  // namespace flexpert::gateway
