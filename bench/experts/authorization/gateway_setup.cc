#include "authorization/gateway_setup.h"

#include <fstream>

#include "base/base64url.h"
#include "crypto/digest.h"
#include "crypto/hmac_key.h"

namespace flexpert::bench {
namespace {

constexpr std::string_view kAccessToken = "BENCH_ACCESS_TOKEN";
constexpr std::string_view kIssuer = "https://issuer.bench";

template <class Names>
std::string list_of(const Names& names) {
  return fmt::format("[{}]", fmt::join(names, ", "));
}

/// The policy as an operator would write it: roles for what principals of rules.h are given.
std::string policy_text(const std::string& model) {
  std::string text = "    roles:\n";
  for (const rules::Principal& who : rules::principals()) {
    if (who.name == "nobody" || who.name == "token") continue;
    text += fmt::format("      {}:\n        models: {}\n        expert_groups: {}\n", who.name, who.may_use_model ? "[" + model + "]"
        : "[]", list_of(who.given));
    // Denial comes from a role of its own, as that of somebody who lost a right would.
    if (!who.denied.empty()) text += fmt::format("      {}-not:\n        denied_expert_groups: {}\n", who.name, list_of(who.denied));
  }
  return text;
}

std::string config_text(const std::string& model_folder, const AuthorizationFleet& fleet, const std::string& controller,
    const std::string& jwks) {
  std::string text = fmt::format("gateway:\n  listen: 127.0.0.1:0\n  metrics_listen: 127.0.0.1:0\n  controller: {}\nmodel:\n  path: {}\n  name: {}\n  groups:\n", controller,
                                 model_folder, fleet.model_name());
  for (const rules::Group& group : rules::groups()) {
    text += fmt::format("    - name: {}\n      security: {}\n      slots: [", group.name, group.high ? "high" : "standard");
    for (std::size_t i = 0; i < group.slots.size(); ++i) text += fmt::format("{}[{}, {}]", i == 0 ? "" : ", ", group.slots[i].first,
        group.slots[i].second);
    text += "]\n";
  }
  text += fmt::format("access:\n  anonymous: true\n  anonymous_roles: [reader]\n  default_route_groups: [code]\n  internal_secret_file: {}\n", fleet.secret_file());
  text += fmt::format("  tokens:\n    - name: bench\n      sha256: {}\n      groups: [finance]\n", crypto::sha256_hex(kAccessToken));
  text += fmt::format("  jwt:\n    - issuer: {}\n      audiences: [flexpert]\n      algorithms: [HS256]\n      jwks_file: {}\n  policy:\n{}", kIssuer, jwks, policy_text(fleet.model_name()));
  return text;
}

}  // namespace

Result<std::unique_ptr<GatewaySetup>> GatewaySetup::start(net::EventLoop& loop, const std::string& program, const std::string& model,
    const AuthorizationFleet& fleet) {
  std::unique_ptr<GatewaySetup> setup(new GatewaySetup(loop));
  FLEXPERT_TRY(setup->begin(program, model, fleet));
  return setup;
}

Result<void> GatewaySetup::begin(const std::string& program, const std::string& model, const AuthorizationFleet& fleet) {
  FleetSnapshot snapshot;
  snapshot.revision = 1;
  snapshot.model = fleet.model_name();
  snapshot.instances.push_back({.id = {"model-0"}, .role = InstanceRole::kModelServer, .state = InstanceState::kReady,
      .model = snapshot.model,
                                .address = fleet.address().to_string(), .pid = 1, .last_error = {}});
  for (const ExpertEndpoint& endpoint : fleet.table().endpoints)
    snapshot.instances.push_back({.id = endpoint.id, .role = InstanceRole::kExpertServer, .state = InstanceState::kReady,
        .model = snapshot.model,
                                  .address = endpoint.address, .pid = 1, .last_error = {}});
  snapshot.routing = fleet.table();
  snapshot_ = codec::encode(snapshot) + "\n";
  controller_ = std::make_unique<http::Server>(loop_, http::ServerLimits{}, [this](const http::Request& request,
      http::Responder responder) {
    if (request.path() != "/internal/fleet") return responder.respond({.status = 204});
    responder.start(200, {});
    responder.write(snapshot_);
    watchers_.push_back(std::move(responder));
  });
  FLEXPERT_ASSIGN(const net::Address any, net::Address::parse("127.0.0.1:0"));
  FLEXPERT_ASSIGN(const net::Address controller, controller_->listen(any));

  jwt_secret_ = crypto::random_bytes(48);
  const std::string jwks = folder_.file("jwks.json");
  std::ofstream(jwks) << fmt::format(R"({{"keys":[{{"kty":"oct","kid":"k1","alg":"HS256","k":"{}"}}]}})", to_base64url(jwt_secret_));
  const std::string config = folder_.file("gateway.yaml");
  std::ofstream(config) << config_text(model, fleet, controller.to_string(), jwks);
  FLEXPERT_ASSIGN(gateway_, Program::start(loop_, {program, "gateway", "-c", config, "--log-level", "warn"}));
  return run_until(loop_, [&] { return !watchers_.empty(); }, Seconds(10), "the gateway to follow the fleet");
}

void GatewaySetup::identify(http::Request& request, const rules::Principal& who) const {
  if (who.name == "nobody") return;
  if (who.name == "token") return request.headers.add("X-Expert-Access-Token", std::string(kAccessToken));
  const std::int64_t now = SystemClock().unix_ms() / 1000;
  std::string roles = fmt::format("\"{}\"", who.name);
  if (!who.denied.empty()) roles += fmt::format(",\"{}-not\"", who.name);
  const std::string signed_text = to_base64url(R"({"alg":"HS256","typ":"JWT","kid":"k1"})") + "." +
                                  to_base64url(fmt::format(R"({{"iss":"{}","aud":"flexpert","sub":"{}","tenant":"bench","roles":[{}],"iat":{},"exp":{}}})", kIssuer, who.name, roles, now, now + 3600));
  const crypto::Digest signature = crypto::hmac_sha256(jwt_secret_, signed_text);
  request.headers.add("Authorization", "Bearer " + signed_text + "." + to_base64url({reinterpret_cast<const char*>(signature.data()),
      signature.size()}));
}

}  // namespace flexpert::bench
