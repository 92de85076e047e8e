#include "config/access_reader.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "auth/policy.h"
#include "config/each_item.h"
#include "config/gateway_reader.h"
#include "config/policy_reader.h"

namespace flexpert::config {
namespace {

constexpr std::array<std::string_view, 9> kSignatures{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"};
constexpr std::array<std::string_view, 3> kSharedSecrets{"HS256", "HS384", "HS512"};

bool knows_group(const FleetConfig& config, const std::string& name) {
  return std::any_of(config.access.rules.groups.begin(), config.access.rules.groups.end(),
                     [&](const auth::ExpertGroup& group) { return group.name == name; });
}

void read_token(const YamlNode& node, const std::string& path, ProblemList& problems, FleetConfig& out) {
  AccessTokenConfig token;
  SectionReader section(node, path, problems);
  section.text("name", token.name);
  section.text("sha256", token.sha256);
  section.texts("groups", token.groups);
  section.require("name", "text");
  section.require("sha256", "text");
  section.finish();
  if (node.kind != YamlNode::Kind::kMapping) return;
  // The value is not repeated in the message: somebody may have put the token itself here.
  const bool hex = token.sha256.size() == 64 && token.sha256.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
  if (!token.sha256.empty() && !hex)
    section.problem("sha256", "not a SHA-256 digest", "64 hex digits, as `printf %s TOKEN | sha256sum` prints them");
  for (char& c : token.sha256)
    if (c >= 'A' && c <= 'F') c = static_cast<char>(c - 'A' + 'a');
  for (const AccessTokenConfig& other : out.tokens)
    if (other.name == token.name && !token.name.empty())
      section.problem("name", fmt::format("a token {} is already given", token.name), "each name once");
  if (out.model)
    for (const std::string& group : token.groups)
      if (!knows_group(out, group))
        section.problem("groups", fmt::format("there is no group {}", group), "names from model.groups and the policy's expert_groups");
  out.tokens.push_back(std::move(token));
}

void read_algorithms(SectionReader& section, JwtIssuerConfig& issuer) {
  section.texts("algorithms", issuer.algorithms);
  if (issuer.algorithms.empty()) issuer.algorithms = {"RS256", "ES256"};
  bool shared = false, signatures = false;
  for (const std::string& name : issuer.algorithms) {
    const bool secret = std::find(kSharedSecrets.begin(), kSharedSecrets.end(), name) != kSharedSecrets.end();
    const bool known = secret || std::find(kSignatures.begin(), kSignatures.end(), name) != kSignatures.end();
    if (!known)
      section.problem("algorithms", fmt::format("{} is given", name.substr(0, 64)),
                      fmt::format("{}, {}", fmt::join(kSignatures, ", "), fmt::join(kSharedSecrets, ", ")));
    shared = shared || secret;
    signatures = signatures || (known && !secret);
  }
  if (shared && signatures)
    section.problem("algorithms", "shared secrets and signatures are mixed, so a public key could be taken for a secret",
                    "only HS*, or none of them");
  if (shared && issuer.jwks_file.empty())
    section.problem("algorithms", "a shared secret is given for keys that are fetched", "HS* only with jwks_file");
}

void read_issuer(const YamlNode& node, const std::string& path, ProblemList& problems, AccessConfig& out) {
  JwtIssuerConfig issuer;
  SectionReader section(node, path, problems);
  section.text("issuer", issuer.issuer);
  section.texts("audiences", issuer.audiences);
  section.text("jwks_url", issuer.jwks_url);
  section.text("jwks_file", issuer.jwks_file);
  section.text("ca_file", issuer.ca_file);
  section.number("leeway_s", {0, 600}, issuer.leeway_s);
  section.number("refresh_s", {1, 86400}, issuer.refresh_s);
  section.number("min_refresh_s", {0.1, 86400}, issuer.min_refresh_s);
  section.text("tenant_claim", issuer.tenant_claim);
  section.text("roles_claim", issuer.roles_claim);
  section.texts("default_roles", issuer.default_roles);
  section.texts("allowed_roles", issuer.allowed_roles);
  section.texts("allowed_tenants", issuer.allowed_tenants);
  section.require("issuer", "the tokens' `iss`, letter for letter");
  section.require("audiences", "a list of which a token's `aud` names one");
  read_algorithms(section, issuer);
  section.finish();
  if (node.kind != YamlNode::Kind::kMapping) return;
  if (section.value("audiences") != nullptr && issuer.audiences.empty())
    section.problem("audiences", "no audience is given", "one or more");
  if (issuer.jwks_url.empty() == issuer.jwks_file.empty())
    section.problem("jwks_url", issuer.jwks_url.empty() ? "the key is missing" : "jwks_file is given, too",
                    "one of jwks_url and jwks_file");
  if (!issuer.jwks_url.empty() && !is_http_url(issuer.jwks_url))
    section.problem("jwks_url", "this is no address of a key set", "https://HOST[:PORT]/PATH or http://...");
  if (!issuer.ca_file.empty() && !issuer.jwks_url.starts_with("https://"))
    section.problem("ca_file", "certificates are given for keys that do not come over TLS", "a jwks_url that begins with https://");
  for (const JwtIssuerConfig& other : out.jwt)
    if (other.issuer == issuer.issuer && !issuer.issuer.empty())
      section.problem("issuer", fmt::format("issuer {} is already given", issuer.issuer), "each issuer once");
  out.jwt.push_back(std::move(issuer));
}

void read_policy_of(SectionReader& section, ProblemList& problems, FleetConfig& out) {
  AccessConfig& access = out.access;
  section.text("policy_file", access.policy_file);
  const YamlNode* inline_policy = section.value("policy");
  if (inline_policy != nullptr && !access.policy_file.empty())
    return section.problem("policy", "policy_file is given, too", "one of policy and policy_file");
  if (inline_policy != nullptr) {
    SectionReader policy(*inline_policy, section.path_of("policy"), problems);
    read_policy(policy, problems, access.rules);
    return policy.finish();
  }
  if (access.policy_file.empty()) return;
  auto rules = load_policy_file(access.policy_file, access.rules);
  if (rules) access.rules = std::move(*rules);
  else section.problem("policy_file", rules.error().message, "a policy as docs/reference/access.md says");
}

void check_roles(SectionReader& section, std::string_view key, const std::vector<std::string>& names, const auth::PolicyRules& rules) {
  for (const std::string& name : names) {
    const bool known = name == auth::kEverythingRole ||
                       std::any_of(rules.roles.begin(), rules.roles.end(), [&](const auth::Role& role) { return role.name == name; });
    if (!known)
      section.problem(key, fmt::format("there is no role {}", name.substr(0, 64)), "everything, or names from the policy's roles");
  }
}

void check_files(SectionReader& section, AccessConfig& access) {
  if (access.pepper_file.empty() && !access.keys_file.empty()) access.pepper_file = access.keys_file + ".pepper";
  if (access.pepper_file.empty() && !access.keys_yaml.empty()) access.pepper_file = access.keys_yaml + ".pepper";
  for (const std::string& network : access.pool_networks)
    if (!is_network(network))
      section.problem("pool_networks", fmt::format("{} is given", network.substr(0, 64)),
                      "networks such as 10.0.0.0/8, 192.168.7.4/32 or fd00::/8");
  if (access.pool_networks.empty() != access.pool_secret_file.empty())
    section.problem("pool_networks", "one of pool_secret_file and pool_networks is given without the other",
                    "both, so that engines may register; or none");
}

}  // namespace

std::string token_role(std::string_view token_name) { return fmt::format("token:{}", token_name); }

bool is_network(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return false;
  const std::string address(text.substr(0, slash));
  const std::string_view digits = text.substr(slash + 1);
  const int family = address.find(':') == std::string::npos ? AF_INET : AF_INET6;
  std::array<unsigned char, 16> bytes{};
  if (::inet_pton(family, address.c_str(), bytes.data()) != 1) return false;
  unsigned prefix = 0;
  const auto [rest, error] = std::from_chars(digits.data(), digits.data() + digits.size(), prefix);
  const unsigned bits = family == AF_INET ? 32 : 128;
  if (error != std::errc() || rest != digits.data() + digits.size() || prefix > bits) return false;
  for (unsigned bit = prefix; bit < bits; ++bit)
    if ((bytes[bit / 8] >> (7 - bit % 8) & 1) != 0) return false;
  return true;
}

namespace {

/// Adds what does not stand in the policy: the model's groups before it is read, since its roles may name them.
void add_model_groups(const FleetConfig& config, auth::PolicyRules& rules) {
  if (!config.model) return;
  for (const ExpertGroupConfig& group : config.model->groups) {
    const auto same = [&](const auth::ExpertGroup& known) { return known.name == group.name && known.model == config.model->name; };
    if (std::any_of(rules.groups.begin(), rules.groups.end(), same)) continue;
    rules.groups.push_back({.name = group.name,
                            .model = config.model->name,
                            .level = group.security == "high" ? auth::SecurityLevel::kHigh : auth::SecurityLevel::kStandard,
                            .cost = group.cost,
                            .slots = group.slots});
  }
}

/// Adds a role for each token, and who comes in without one. Groups that no section gives, as in the file of a gateway without
/// the model, open nothing.
void add_callers(const FleetConfig& config, auth::PolicyRules& rules) {
  rules.anonymous = config.access.anonymous;
  rules.anonymous_roles = config.access.anonymous_roles;
  for (const AccessTokenConfig& token : config.tokens) {
    auth::Role role{.name = token_role(token.name), .models = {}, .expert_groups = {}, .denied_expert_groups = {}, .admin = 0};
    if (std::any_of(rules.roles.begin(), rules.roles.end(), [&](const auth::Role& known) { return known.name == role.name; })) continue;
    for (const std::string& name : token.groups)
      if (std::any_of(rules.groups.begin(), rules.groups.end(), [&](const auth::ExpertGroup& group) { return group.name == name; }))
        role.expert_groups.push_back(name);
    rules.roles.push_back(std::move(role));
  }
}

}  // namespace

Result<auth::PolicyRules> reload_rules(const FleetConfig& config) {
  auth::PolicyRules rules;
  if (config.access.policy_file.empty()) rules = config.access.rules;
  add_model_groups(config, rules);
  if (!config.access.policy_file.empty()) {
    FLEXPERT_ASSIGN(rules, load_policy_file(config.access.policy_file, std::move(rules)));
  }
  add_callers(config, rules);
  FLEXPERT_TRY(auth::check(rules));
  return rules;
}

void read_access(SectionReader& file, ProblemList& problems, FleetConfig& out) {
  AccessConfig& access = out.access;
  add_model_groups(out, access.rules);
  const YamlNode* node = file.value("access");
  if (node == nullptr) return;
  SectionReader section(*node, "access", problems);
  section.boolean("anonymous", access.anonymous);
  section.texts("anonymous_roles", access.anonymous_roles);
  section.text("keys_file", access.keys_file);
  section.text("keys_yaml", access.keys_yaml);
  section.text("pepper_file", access.pepper_file);
  section.text("internal_secret_file", access.internal_secret_file);
  section.text("pool_secret_file", access.pool_secret_file);
  section.texts("pool_networks", access.pool_networks);
  read_policy_of(section, problems, out);
  each_item(section, problems, "jwt", "issuers",
            [&](const YamlNode& item, const std::string& path) { read_issuer(item, path, problems, access); });
  each_item(section, problems, "tokens", "access tokens",
            [&](const YamlNode& item, const std::string& path) { read_token(item, path, problems, out); });
  section.texts("default_route_groups", out.default_route_groups);
  section.finish();

  check_files(section, access);
  check_roles(section, "anonymous_roles", access.anonymous_roles, access.rules);
  if (!access.anonymous_roles.empty() && !access.anonymous)
    section.problem("anonymous_roles", "anonymous callers are not let in", "with anonymous: true");
  for (const JwtIssuerConfig& issuer : access.jwt) {
    check_roles(section, "jwt", issuer.default_roles, access.rules);
    check_roles(section, "jwt", issuer.allowed_roles, access.rules);
  }
  add_callers(out, access.rules);
  if (section.value("default_route_groups") != nullptr && out.model)
    for (const std::string& group : out.default_route_groups)
      if (!knows_group(out, group))
        section.problem("default_route_groups", fmt::format("there is no group {}", group), "names from model.groups");
  if (!problems.empty()) return;
  if (const auto checked = auth::check(access.rules); !checked)
    section.problem("policy", checked.error().message, "a policy as docs/reference/access.md says");
}

}  // namespace flexpert::config
