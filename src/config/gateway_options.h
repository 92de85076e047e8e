#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "auth/policy.h"

/// What the file says of the secure routing proxy beyond `gateway.listen`: who may come in, what is admitted, how it is routed.
namespace flexpert::config {

/// A certificate with its key, both PEM; read again when the files change or on SIGHUP.
struct TlsFiles {
  std::string certificate_file;
  std::string key_file;
  std::string min_version = "1.2";  ///< 1.2 | 1.3
};

/// `gateway.tls` and `gateway.also_listen`; the probe and admin listeners.
struct ListenersConfig {
  std::vector<std::string> also;                      ///< further addresses of the API
  std::optional<TlsFiles> tls;                        ///< of the API's TCP listeners
  std::string metrics = "127.0.0.1:9002";             ///< /metrics, /health, /ready; empty = none
  std::string admin;                                  ///< admin API, "unix:PATH" or HOST:PORT; empty = none
};

/// One entry of `access.jwt[]`.
struct JwtIssuerConfig {
  std::string issuer;                                 ///< `iss`, exact
  std::vector<std::string> audiences;                 ///< one of them must be in `aud`; at least one
  std::string jwks_url;                               ///< http(s)://..., or
  std::string jwks_file;
  std::string ca_file;                                ///< with an https jwks_url: PEM certificates to trust instead of the system's
  std::vector<std::string> algorithms;                ///< RS, PS, ES with 256, 384, 512; default RS256, ES256; HS* only with jwks_file
  double leeway_s = 30;
  double refresh_s = 300;                             ///< between two regular fetches
  double min_refresh_s = 10;                          ///< between two fetches for unknown kids
  std::string tenant_claim = "tenant";                ///< dotted path; absent: the issuer's name
  std::string roles_claim = "roles";                  ///< list of texts or one text with spaces
  std::vector<std::string> default_roles;             ///< given to every token of this issuer
  std::vector<std::string> allowed_roles;             ///< what roles_claim may give; empty = every role of the policy
  std::vector<std::string> allowed_tenants;           ///< what tenant_claim may name; empty = every tenant
};

/// The `access:` section.
struct AccessConfig {
  std::string keys_file;                              ///< SQLite store of API keys
  std::string keys_yaml;                              ///< a file of records, beside it or instead of it
  std::string pepper_file;                            ///< secret under which keys are stored; default: the keys' file and ".pepper"
  std::vector<JwtIssuerConfig> jwt;
  bool anonymous = false;
  std::vector<std::string> anonymous_roles;           ///< default: the built-in role `everything` without admin rights
  std::string policy_file;                            ///< roles, tenants, groups; reloaded when it changes
  auth::PolicyRules rules;                            ///< of the policy, with model.groups and a role token_role(NAME) a token
  std::string internal_secret_file;                   ///< signs X-Flexpert-Grant; our model servers have the same
  std::string pool_secret_file;                       ///< lets engines register themselves
  std::vector<std::string> pool_networks;             ///< CIDRs that may register; none = registration is off
};

/// `gateway.limits`: of one gateway process.
struct EdgeLimitsConfig {
  double head_timeout_s = 10;
  double body_idle_timeout_s = 10;
  std::uint64_t min_body_bytes_per_s = 1024;
  double idle_timeout_s = 75;
  double write_timeout_s = 60;
  std::uint64_t max_head_bytes = 32 * 1024;
  std::uint32_t max_connections = 10'000;
  std::uint32_t max_connections_per_peer = 0;
  double heartbeat_s = 15;                            ///< comment on a silent stream; 0 = none
};

/// One step of `gateway.degradation[]`, in the order of severity; each includes those before it.
struct DegradationStepConfig {
  std::string kind;                                   ///< cap_max_tokens | cache | smaller_model | drop_low_priority | shed
  double enter = 0.8;                                 ///< saturation from which it holds
  double leave = 0.7;                                 ///< and below which it ends
  double hold_s = 5;                                  ///< at least so long
  std::uint64_t max_tokens = 0;                       ///< cap_max_tokens
  std::vector<std::pair<std::string, std::string>> models{};  ///< smaller_model: from, to
};

/// `gateway.admission`.
struct AdmissionConfig {
  std::uint32_t max_in_flight = 0;                    ///< over all upstreams; 0 = by the upstreams' capacity
  std::uint32_t max_queued = 1000;
  double max_queue_s = 30;                            ///< longest wait
  std::uint64_t default_max_tokens = 512;             ///< reserved for a request that names none
  std::vector<DegradationStepConfig> degradation{};
};

/// `gateway.cache`: exact answers.
struct CacheConfig {
  bool enabled = false;
  std::uint64_t max_bytes = 64ull << 20;
  double ttl_s = 300;
  std::uint64_t max_entry_bytes = 1 << 20;
  bool share_in_flight = true;                        ///< identical requests share one computation, where `enabled`
};

/// `gateway.routing`.
struct RoutingConfig {
  std::string policy = "least_load";                  ///< round_robin | random | power_of_two | least_load | prefix_hash | session
  std::string session_header;                         ///< with session: what a client may name its session by; it only narrows
  std::uint32_t prefix_bytes = 1024;                  ///< with prefix_hash
  double prefix_load_factor = 1.25;                   ///< bounded load
  double slow_start_s = 0;
  double retry_budget = 0.1;                          ///< retries per request, over a sliding window
  std::uint32_t eject_after_failures = 5;             ///< in a row; 0 = never
  double eject_s = 10;                                ///< the first time; doubles, up to eject_max_s
  double eject_max_s = 300;
  double max_ejected_share = 0.5;
  std::uint32_t breaker_max_in_flight = 0;            ///< requests on one upstream; 0 = no limit
  std::uint64_t capacity_tokens = 0;                  ///< of one upstream, for least_load; 0 = relative load only
};

/// One entry of `gateway.routing.models[]`: what is not given there is as in `gateway.routing`.
struct ModelRoutingConfig {
  std::string model;                                  ///< as requests name it
  RoutingConfig routing;
};

/// `gateway.log`.
struct GatewayLogConfig {
  std::string access = "";                            ///< file, "-" for stdout; empty = none
  std::string audit = "";                             ///< file; empty = with the log
  std::string otlp_url;                               ///< http(s)://HOST:PORT of a collector; empty = no export
  double otlp_sample = 0.01;                          ///< of requests without a sampled traceparent
};

}  // namespace flexpert::config
