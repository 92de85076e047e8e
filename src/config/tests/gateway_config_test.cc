#include <gtest/gtest.h>

#include "config/fleet_config.h"
#include "config/gateway_reader.h"

namespace flexpert::config {
namespace {

const std::string kUpstream = "upstreams: [{url: 'http://h:1'}]\n";

std::string message_of(const std::string& text) {
  const auto config = parse(kUpstream + text, "f.yaml");
  return config ? "no error" : config.error().message;
}

TEST(GatewayConfig, EveryFieldOfTheProxyIsRead) {
  const auto config = parse(kUpstream + R"(
gateway:
  also_listen: ["unix:/run/g.sock", "*:8443"]
  tls: {certificate_file: c.pem, key_file: k.pem, min_version: "1.3"}
  metrics_listen: none
  admin_listen: unix:/run/admin.sock
  limits: {head_timeout_s: 1, body_idle_timeout_s: 2, min_body_bytes_per_s: 3, idle_timeout_s: 4, write_timeout_s: 5, max_head_bytes: 16KiB,
           max_connections: 6, max_connections_per_peer: 7, heartbeat_s: 0}
  admission: {max_in_flight: 8, max_queued: 9, max_queue_s: 10, default_max_tokens: 11}
  degradation:
    - {kind: cap_max_tokens, enter: 0.7, leave: 0.6, hold_s: 1, max_tokens: 128}
    - {kind: smaller_model, enter: 0.8, models: {big: small}}
    - {kind: shed, enter: 2}
  cache: {enabled: true, max_bytes: 1GiB, ttl_s: 12, max_entry_bytes: 64KiB, share_in_flight: false}
  routing:
    policy: session
    session_header: X-Session-Id
    prefix_bytes: 512
    prefix_load_factor: 1.5
    slow_start_s: 13
    retry_budget: 0.2
    eject_after_failures: 3
    eject_s: 14
    eject_max_s: 15
    max_ejected_share: 0.25
    breaker_max_in_flight: 16
    capacity_tokens: 5000000000
    models: [{model: m, policy: prefix_hash, slow_start_s: 0}]
  log: {access: "-", audit: audit.log, otlp_url: "http://127.0.0.1:4318/v1/traces", otlp_sample: 0.5}
)", "f.yaml");
  ASSERT_TRUE(config) << config.error().message;
  const GatewayConfig& gateway = config->gateway;
  EXPECT_EQ(gateway.listeners.also, (std::vector<std::string>{"unix:/run/g.sock", "*:8443"}));
  EXPECT_EQ(gateway.listeners.tls->key_file, "k.pem");
  EXPECT_EQ(gateway.listeners.tls->min_version, "1.3");
  EXPECT_EQ(gateway.listeners.metrics, "");
  EXPECT_EQ(gateway.listeners.admin, "unix:/run/admin.sock");
  EXPECT_EQ(gateway.edge.head_timeout_s, 1);
  EXPECT_EQ(gateway.edge.body_idle_timeout_s, 2);
  EXPECT_EQ(gateway.edge.min_body_bytes_per_s, 3U);
  EXPECT_EQ(gateway.edge.idle_timeout_s, 4);
  EXPECT_EQ(gateway.edge.write_timeout_s, 5);
  EXPECT_EQ(gateway.edge.max_head_bytes, 16U * 1024);
  EXPECT_EQ(gateway.edge.max_connections, 6U);
  EXPECT_EQ(gateway.edge.max_connections_per_peer, 7U);
  EXPECT_EQ(gateway.edge.heartbeat_s, 0);
  EXPECT_EQ(gateway.admission.max_in_flight, 8U);
  EXPECT_EQ(gateway.admission.max_queued, 9U);
  EXPECT_EQ(gateway.admission.max_queue_s, 10);
  EXPECT_EQ(gateway.admission.default_max_tokens, 11U);
  ASSERT_EQ(gateway.admission.degradation.size(), 3U);
  EXPECT_EQ(gateway.admission.degradation[0].max_tokens, 128U);
  EXPECT_EQ(gateway.admission.degradation[1].models[0], (std::pair<std::string, std::string>{"big", "small"}));
  EXPECT_LT(gateway.admission.degradation[2].leave, 2);
  EXPECT_TRUE(gateway.cache.enabled && !gateway.cache.share_in_flight);
  EXPECT_EQ(gateway.cache.max_bytes, 1ULL << 30);
  EXPECT_EQ(gateway.cache.ttl_s, 12);
  EXPECT_EQ(gateway.cache.max_entry_bytes, 64U * 1024);
  EXPECT_EQ(gateway.routing.session_header, "X-Session-Id");
  EXPECT_EQ(gateway.routing.prefix_bytes, 512U);
  EXPECT_EQ(gateway.routing.prefix_load_factor, 1.5);
  EXPECT_EQ(gateway.routing.retry_budget, 0.2);
  EXPECT_EQ(gateway.routing.eject_after_failures, 3U);
  EXPECT_EQ(gateway.routing.eject_s, 14);
  EXPECT_EQ(gateway.routing.eject_max_s, 15);
  EXPECT_EQ(gateway.routing.max_ejected_share, 0.25);
  EXPECT_EQ(gateway.routing.breaker_max_in_flight, 16U);
  EXPECT_EQ(gateway.routing.capacity_tokens, 5'000'000'000U);
  ASSERT_EQ(gateway.routing_models.size(), 1U);
  EXPECT_EQ(gateway.routing_models[0].routing.policy, "prefix_hash");
  EXPECT_EQ(gateway.routing_models[0].routing.slow_start_s, 0);
  EXPECT_EQ(gateway.routing_models[0].routing.retry_budget, 0.2) << "what is not given is as above";
  EXPECT_EQ(gateway.log.access, "-");
  EXPECT_EQ(gateway.log.audit, "audit.log");
  EXPECT_EQ(gateway.log.otlp_url, "http://127.0.0.1:4318/v1/traces");
  EXPECT_EQ(gateway.log.otlp_sample, 0.5);
}

TEST(GatewayConfig, UpstreamsSpeakTlsAndHaveWeights) {
  const auto config = parse(R"(
upstreams:
  - {url: "https://engine.example.com", ca_file: ca.pem, api_key_file: key, weight: 2.5, capacity_tokens: 100000, cost: 3}
  - {url: "http://h:1", flexpert: true}
)", "f.yaml");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->upstreams[0].url, "https://engine.example.com:443");
  EXPECT_EQ(config->upstreams[0].ca_file, "ca.pem");
  EXPECT_EQ(config->upstreams[0].api_key_file, "key");
  EXPECT_EQ(config->upstreams[0].weight, 2.5);
  EXPECT_EQ(config->upstreams[0].cost, 3);
  EXPECT_EQ(config->upstreams[0].capacity_tokens, 100'000U);
  EXPECT_FALSE(config->upstreams[0].flexpert);
  EXPECT_TRUE(config->upstreams[1].flexpert);
}

struct Case {
  const char* text;
  const char* message;
};

TEST(GatewayConfig, WhatCannotBeIsSaidWithItsLine) {
  const Case cases[] = {
      {"gateway:\n  tls: {certificate_file: c}\n", "f.yaml:3: gateway.tls.key_file: the key is missing"},
      {"gateway:\n  also_listen: [nowhere]\n", "f.yaml:3: gateway.also_listen[0]: nowhere is given; allowed: HOST:PORT"},
      {"gateway:\n  metrics_listen: off\n", "f.yaml:3: gateway.metrics_listen: off is given"},
      {"gateway:\n  degradation:\n    - {kind: shed, enter: 1, leave: 1}\n",
       "f.yaml:4: gateway.degradation[0].leave: 1 is not under enter"},
      {"gateway:\n  degradation:\n    - {kind: cap_max_tokens}\n", "f.yaml:4: gateway.degradation[0].max_tokens: the key is missing"},
      {"gateway:\n  degradation:\n    - {kind: shed, max_tokens: 5}\n", "gateway.degradation[0].max_tokens: only cap_max_tokens has it"},
      {"gateway:\n  degradation:\n    - {kind: smaller_model, models: {a: a}}\n",
       "gateway.degradation[0].models.a: a model is its own smaller model"},
      {"gateway:\n  degradation:\n    - {kind: cache, enter: 0.9}\n    - {kind: shed, enter: 0.8}\n",
       "f.yaml:5: gateway.degradation[1].enter: 0.8 is under that of the step before"},
      {"gateway:\n  degradation:\n    - {kind: shed}\n    - {kind: shed}\n",
       "f.yaml:5: gateway.degradation[1].kind: a step shed is already given"},
      {"gateway:\n  degradation: [{}]\n", "gateway.degradation[0].kind: the key is missing"},
      {"gateway:\n  cache: {max_bytes: 2048, max_entry_bytes: 4096}\n", "gateway.cache.max_entry_bytes: 4096 is over max_bytes"},
      {"gateway:\n  routing: {policy: session}\n", "gateway.routing.session_header: the key is missing"},
      {"gateway:\n  routing: {session_header: Authorization}\n", "gateway.routing.session_header: this header cannot name a session"},
      {"gateway:\n  routing: {session_header: x-flexpert-grant}\n", "gateway.routing.session_header: this header cannot name a session"},
      {"gateway:\n  routing: {eject_s: 400}\n", "gateway.routing.eject_max_s: 300 is under eject_s, which is 400"},
      {"gateway:\n  routing:\n    models: [{policy: random}]\n", "f.yaml:4: gateway.routing.models[0].model: the key is missing"},
      {"gateway:\n  routing:\n    models: [{model: m}, {model: m}]\n", "gateway.routing.models[1].model: model m is already given"},
      {"gateway:\n  routing: {capacity_tokens: -1}\n", "gateway.routing.capacity_tokens: -1 is given; allowed: a whole number from 0"},
      {"gateway:\n  log: {otlp_url: 'ftp://h'}\n", "gateway.log.otlp_url: this is no address of a collector"},
  };
  for (const Case& c : cases)
    EXPECT_NE(message_of(c.text).find(c.message), std::string::npos) << "wanted: " << c.message << "\n   got: " << message_of(c.text);
  EXPECT_NE(message_of("").find("no error"), std::string::npos);
  const auto upstream = parse("upstreams: [{url: 'http://h:1', ca_file: ca.pem}]\n", "f.yaml");
  ASSERT_FALSE(upstream);
  EXPECT_NE(upstream.error().message.find("upstreams[0].ca_file: certificates are given for an url without TLS"), std::string::npos);
}

TEST(GatewayConfig, AnUrlToCallHasASchemeAndAHostAndNoBlanks) {
  for (const char* good : {"http://h", "https://h:1", "https://[::1]:8/x", "http://a.b-c/d?e=f"}) EXPECT_TRUE(is_http_url(good)) << good;
  for (const char* bad :
       {"", "h:1", "http://", "http:///x", "https://*:1", "http://unix:/x", "http://h:99999", "http://h/a b", "http://h/\n", "http://u@h/"})
    EXPECT_FALSE(is_http_url(bad)) << bad;
}

}  // namespace
}  // namespace flexpert::config
