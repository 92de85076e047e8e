#include "config/fleet_config.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

namespace flexpert::config {
namespace {

const std::string kRoot = FLEXPERT_SOURCE_DIR;

std::string message_of(const std::string& text) {
  const auto config = parse(text, "f.yaml");
  return config ? "no error" : config.error().message;
}

TEST(FleetConfig, TheFirstFleetExampleIsReadAsWritten) {
  const auto config = load_file(kRoot + "/examples/first-fleet.yaml");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->gateway.listen, "127.0.0.1:9000");
  ASSERT_TRUE(config->model);
  EXPECT_EQ(config->model->name, "flexpert-tiny-moe");
  EXPECT_EQ(config->model->path, "models/flexpert-tiny-moe");
  ASSERT_EQ(config->model->groups.size(), 3U);
  EXPECT_EQ(config->model->groups[0].security, "standard");
  EXPECT_EQ(config->model->groups[0].slots, (std::vector<ExpertSlot>{{5, 10}}));
  EXPECT_EQ(config->model->groups[2].name, "C");
  EXPECT_EQ(config->model->groups[2].security, "high");
  ASSERT_EQ(config->tokens.size(), 1U);
  EXPECT_EQ(config->tokens[0].groups, std::vector<std::string>{"C"});
  EXPECT_EQ(config->default_route_groups, (std::vector<std::string>{"A", "B"}));
}

TEST(FleetConfig, TheExistingEngineExampleNamesItsUpstreamsByHostAndPort) {
  const auto config = load_file(kRoot + "/examples/existing-engine.yaml");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_FALSE(config->model);
  ASSERT_EQ(config->upstreams.size(), 2U);
  EXPECT_EQ(config->upstreams[0].url, "http://127.0.0.1:8000");
  EXPECT_EQ(config->upstreams[0].name, "127.0.0.1:8000");
  EXPECT_EQ(config->upstreams[1].health_path, "/health");
  EXPECT_TRUE(config->upstreams[1].models.empty());
}

TEST(FleetConfig, TakesHostNamesInUrlsAndPort80WhereNoneIsGiven) {
  const auto config = parse("upstreams:\n  - {url: 'http://my-vllm:8000/'}\n  - {url: 'http://vllm.example.com'}\n  - {url: 'http://[::1]'}\n", "f.yaml");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->upstreams[0].url, "http://my-vllm:8000");
  EXPECT_EQ(config->upstreams[1].url, "http://vllm.example.com:80");
  EXPECT_EQ(config->upstreams[1].name, "vllm.example.com:80");
  EXPECT_EQ(config->upstreams[2].url, "http://[::1]:80");
}

TEST(FleetConfig, PlacementFieldsAreCheckedWithTheirLine) {
  const std::string message = message_of("model:\n  path: p\n  placement:\n    threshold: 1.5\n    dispatch: fastest\n    max_move: 3\n");
  EXPECT_NE(message.find("f.yaml:4: model.placement.threshold"), std::string::npos) << message;
  EXPECT_NE(message.find("f.yaml:5: model.placement.dispatch"), std::string::npos) << message;
  EXPECT_NE(message.find("least_activated_experts"), std::string::npos) << message;
  EXPECT_NE(message.find("f.yaml:6: model.placement.max_move"), std::string::npos) << message;
}

TEST(FleetConfig, EveryFieldIsRead) {
  const auto config = parse(R"(
gateway: {listen: "unix:/run/g.sock", max_body_bytes: 8MiB, health_interval_s: 0.5, upstream_timeout_s: 30, controller: "[::1]:9001"}
controller: {listen: "*:0", journal: j.db, dry_run: true}
model:
  name: m
  path: p/q/
  pack: m.pack
  servers: 2
  threads: 3
  kv_blocks: 64
  max_batch: 8
  expert_servers: {min: 1, max: 4, warm: 2, slots_per_server: 16, threads: 2, pace_rows_per_s: 1e3}
  placement: {rebalance_interval_s: 7.5, threshold: 0.8, drift: 0.2, least_gain: 0.01, max_moves: 12, window_tokens: 512, smoothing: 0.25,
              cost: deepseek_v3_decode, link_bytes_per_s: 1e9, dispatch: round_robin}
  scaling: {replica_capacity_rows_per_s: 50.5, high: 0.9, low: 0.1, min_replicas: 2, max_replicas: 4, window_tokens: 4096,
            smoothing: 1, cooldown_s: 0, interval_s: 0.25}
  groups:
    - {name: A, slots: [[0, 1], {layer: 2, experts: [3, 4]}]}
    - {name: B, security: high, layer: 1, experts: [5]}
upstreams:
  - {name: u, url: "http://h:80/", models: [x, y], health_path: /ping}
access:
  tokens: [{name: t, sha256: "576AF19F505964347EBC4BAEADABB2F3A5BD072CB5F29B7DF26317471CC7EE46", groups: [B]}]
  default_route_groups: [B]
runtime_dir: /tmp/r
shutdown_deadline_s: 3
)", "f.yaml");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->gateway.listen, "unix:/run/g.sock");
  EXPECT_EQ(config->gateway.max_body_bytes, 8U << 20);
  EXPECT_EQ(config->gateway.health_interval_s, 0.5);
  EXPECT_EQ(config->gateway.upstream_timeout_s, 30);
  EXPECT_EQ(config->gateway.controller, "[::1]:9001");
  EXPECT_EQ(config->controller.listen, "*:0");
  EXPECT_EQ(config->controller.journal, "j.db");
  EXPECT_TRUE(config->controller.dry_run);
  const ModelConfig& model = *config->model;
  EXPECT_EQ(model.name, "m");
  EXPECT_EQ(model.pack, "m.pack");
  EXPECT_EQ(model.servers, 2U);
  EXPECT_EQ(model.threads, 3U);
  EXPECT_EQ(model.kv_blocks, 64U);
  EXPECT_EQ(model.max_batch, 8U);
  EXPECT_EQ(model.expert_servers.min, 1U);
  EXPECT_EQ(model.expert_servers.max, 4U);
  EXPECT_EQ(model.expert_servers.warm, 2U);
  EXPECT_EQ(model.expert_servers.slots_per_server, 16U);
  EXPECT_EQ(model.expert_servers.threads, 2U);
  EXPECT_EQ(model.expert_servers.pace_rows_per_s, 1000);
  EXPECT_EQ(model.scaling.replica_capacity_rows_per_s, 50.5);
  EXPECT_EQ(model.scaling.high, 0.9);
  EXPECT_EQ(model.scaling.low, 0.1);
  EXPECT_EQ(model.scaling.min_replicas, 2U);
  EXPECT_EQ(model.scaling.max_replicas, 4U);
  EXPECT_EQ(model.scaling.window_tokens, 4096U);
  EXPECT_EQ(model.scaling.smoothing, 1);
  EXPECT_EQ(model.scaling.cooldown_s, 0);
  EXPECT_EQ(model.scaling.interval_s, 0.25);
  EXPECT_EQ(model.placement.rebalance_interval_s, 7.5);
  EXPECT_EQ(model.placement.threshold, 0.8);
  EXPECT_EQ(model.placement.drift, 0.2);
  EXPECT_EQ(model.placement.least_gain, 0.01);
  EXPECT_EQ(model.placement.max_moves, 12U);
  EXPECT_EQ(model.placement.window_tokens, 512U);
  EXPECT_EQ(model.placement.smoothing, 0.25);
  EXPECT_EQ(model.placement.cost, "deepseek_v3_decode");
  EXPECT_EQ(model.placement.link_bytes_per_s, 1e9);
  EXPECT_EQ(model.placement.dispatch, "round_robin");
  EXPECT_EQ(model.groups[0].slots, (std::vector<ExpertSlot>{{0, 1}, {2, 3}, {2, 4}}));
  EXPECT_EQ(model.groups[1].slots, (std::vector<ExpertSlot>{{1, 5}}));
  EXPECT_EQ(config->upstreams[0].url, "http://h:80");
  EXPECT_EQ(config->upstreams[0].models, (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(config->upstreams[0].health_path, "/ping");
  EXPECT_EQ(config->tokens[0].sha256, "576af19f505964347ebc4baeadabb2f3a5bd072cb5f29b7df26317471cc7ee46");
  EXPECT_EQ(config->default_route_groups, std::vector<std::string>{"B"});
  EXPECT_EQ(config->runtime_dir, "/tmp/r");
  EXPECT_EQ(config->shutdown_deadline_s, 3);
}

TEST(FleetConfig, EmptySectionsKeepTheDefaults) {
  const auto config = parse("gateway:\nmodel:\n  path: /m/tiny/\n  groups:\naccess:\n", "f.yaml");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->gateway.max_body_bytes, 4U << 20);
  EXPECT_EQ(config->model->name, "tiny");
}

struct Case {
  const char* text;
  const char* message;
};

TEST(FleetConfig, ErrorsSayFileLineFieldAndWhatIsAllowed) {
  const Case cases[] = {
      {"model: {path: m}\ngatway: {}\n",
       "f.yaml:2: gatway: unknown key, the nearest known one is \"gateway\"; allowed: access, controller, gateway, model, planner, pools, "
       "runtime_dir, shutdown_deadline_s, upstreams"},
      {"model: {path: m}\ngateway:\n  listen: 127.0.0.1:9000\n  lisen: x\n",
       "f.yaml:4: gateway.lisen: unknown key, the nearest known one is \"listen\"; allowed: admin_listen, admission, "
       "also_listen, cache, controller, degradation, health_interval_s, hold_s, limits, listen, log, max_body_bytes, metrics_listen, routing, tls, "
       "upstream_timeout_s"},
      {"model: {path: m}\ngateway: {listen: 9000}\n",
       "f.yaml:2: gateway.listen: 9000 is given; allowed: HOST:PORT, [IPV6]:PORT, *:PORT or unix:PATH (at most 107 bytes)"},
      {"model: {path: m}\ngateway: {listen: \"h:70000\"}\n",
       "f.yaml:2: gateway.listen: \"h:70000\" is given; allowed: HOST:PORT, [IPV6]:PORT, *:PORT or unix:PATH (at most 107 bytes)"},
      {"model: {path: m}\ngateway: [1]\n", "f.yaml:2: gateway: a list is given; allowed: a mapping of keys to values"},
      {"model: {path: m}\ngateway: {max_body_bytes: 4MB}\n",
       "f.yaml:2: gateway.max_body_bytes: 4MB is given; allowed: bytes from 1024 to 1073741824, as a whole number or with KiB, MiB or GiB (4MiB)"},
      {"model: {path: m}\ngateway: {max_body_bytes: 99999999999GiB}\n",
       "f.yaml:2: gateway.max_body_bytes: 99999999999GiB is out of range; allowed: bytes from 1024 to 1073741824, as a whole number or with "
       "KiB, MiB or GiB (4MiB)"},
      {"model: {path: m}\ngateway:\n  health_interval_s: soon\n",
       "f.yaml:3: gateway.health_interval_s: soon is given; allowed: a number from 0.05 to 3600"},
      {"model: {path: m}\ncontroller: {dry_run: 1}\n", "f.yaml:2: controller.dry_run: 1 is given; allowed: true or false"},
      {"model: {path: m}\nruntime_dir: []\n", "f.yaml:2: runtime_dir: a list is given; allowed: text"},
      {"model: {path: m, servers: 0}\n", "f.yaml:1: model.servers: 0 is out of range; allowed: a whole number from 1 to 64"},
      {"model: {path: m, threads: \"2\"}\n", "f.yaml:1: model.threads: \"2\" is given; allowed: a whole number from 1 to 1024"},
      {"model: {path: m, threads: 1.5}\n", "f.yaml:1: model.threads: 1.5 is given; allowed: a whole number from 1 to 1024"},
      {"model: {servers: 1}\n", "f.yaml:1: model.path: the key is missing; allowed: the folder of a Hugging Face checkpoint"},
      {"model:\n  path: m\n  expert_servers: {min: 7}\n",
       "f.yaml:3: model.expert_servers.min: 7 is over max, which is 6; allowed: a whole number from 0 to max"},
      {"model:\n  path: m\n  scaling: {smoothing: 0}\n",
       "f.yaml:3: model.scaling.smoothing: 0 is out of range; allowed: a number over 0 and up to 1"},
      {"model:\n  path: m\n  scaling:\n    low: 0.5\n",
       "f.yaml:4: model.scaling.low: 0.5 is over half of high, which is 0.8, so doubling and halving would undo each other; allowed: a "
       "number from 0 to high / 2"},
      {"model:\n  path: m\n  groups:\n    - {name: A, slots: [[0]]}\n",
       "f.yaml:4: model.groups[0].slots: no expert is given; allowed: a list of [LAYER, EXPERT] pairs, at least one"},
      {"model:\n  path: m\n  groups:\n    - {name: A, slots: [[0, 1], [0, -1]]}\n",
       "f.yaml:4: model.groups[0].slots[1][1]: -1 is out of range; allowed: a whole number from 0 to 65535"},
      {"model:\n  path: m\n  groups:\n    - {name: A, slots: [[0, 1], [0, 1]]}\n",
       "f.yaml:4: model.groups[0].slots[1]: layer 0 expert 1 is given twice; allowed: each expert once a group"},
      {"model:\n  path: m\n  groups:\n    - {name: A, layer: 1, slots: [[0, 1]]}\n",
       "f.yaml:4: model.groups[0]: one of layer and experts is given without the other; allowed: layer: N together with experts: [N, ...]"},
      {"model:\n  path: m\n  groups:\n    - {name: A, security: secret, slots: [[0, 1]]}\n",
       "f.yaml:4: model.groups[0].security: secret is given; allowed: standard, high"},
      {"model:\n  path: m\n  groups:\n    - {name: A, slots: [[0, 1]]}\n    - {name: A, slots: [[0, 2]]}\n",
       "f.yaml:5: model.groups[1].name: a group A is already given; allowed: each name once"},
      {"upstreams:\n  - {url: 'ftp://h:1'}\n",
       "f.yaml:2: upstreams[0].url: \"ftp://h:1\" is given; allowed: http://HOST:PORT or https://HOST:PORT, without a path (the gateway adds "
       "/v1/...)"},
      {"upstreams:\n  - {url: 'http://my-vllm:8000/v1'}\n",
       "f.yaml:2: upstreams[0].url: \"http://my-vllm:8000/v1\" is given; allowed: http://HOST:PORT or https://HOST:PORT, without a path "
       "(the gateway adds /v1/...)"},
      {"upstreams:\n  - {url: 'http://10.0.0.300:8000'}\n",
       "f.yaml:2: upstreams[0].url: \"http://10.0.0.300:8000\" is given; allowed: http://HOST:PORT or https://HOST:PORT, without a path "
       "(the gateway adds /v1/...)"},
      {"upstreams:\n  - {name: x}\n", "f.yaml:2: upstreams[0].url: the key is missing; allowed: http://HOST:PORT or https://HOST:PORT"},
      {"upstreams:\n  - url: http://h:1\n    health_path: ping\n",
       "f.yaml:3: upstreams[0].health_path: \"ping\" is given; allowed: a path that begins with / and has no blanks"},
      {"model: {path: m}\naccess:\n  tokens:\n    - {name: t, sha256: PREMIUM_USER_TOKEN}\n",
       "f.yaml:4: access.tokens[0].sha256: not a SHA-256 digest; allowed: 64 hex digits, as `printf %s TOKEN | sha256sum` prints them"},
      {"model: {path: m}\naccess:\n  default_route_groups: [Z]\n",
       "f.yaml:3: access.default_route_groups: there is no group Z; allowed: names from model.groups"},
      {"model: {path: m}\nmodel: {path: n}\n",
       "f.yaml:2: the key \"model\" is given twice, first on line 1; allowed: each key once"},
      {"model: &m {path: m}\nother: *m\n", "f.yaml:2: an alias is given; allowed: the value itself, written out"},
      {"model: {path: m}\n---\nmodel: {path: n}\n", "f.yaml:2: a second document begins; allowed: one document a file"},
      {"just text\n", "f.yaml:1: the file: just text is given; allowed: a mapping of keys to values"},
      {"", "f.yaml:1: model: there is nothing to serve; allowed: a model: section, pools:, at least one of upstreams:, or "
       "gateway.controller"},
  };
  for (const Case& c : cases) {
    const std::string message = message_of(c.text);
    // The first line is the one that the case is about; a few inputs are wrong in two ways.
    const bool listed = message == c.message || message.find(std::string(c.message) + "\n") != std::string::npos ||
                        message.ends_with("\n" + std::string(c.message));
    EXPECT_TRUE(listed) << "input:\n" << c.text << "\nwanted: " << c.message << "\n   got: " << message;
  }
}

TEST(FleetConfig, SyntaxErrorsNameTheLine) {
  EXPECT_TRUE(message_of("model:\n  path: [m\n").starts_with("f.yaml:")) << message_of("model:\n  path: [m\n");
  EXPECT_TRUE(message_of("a: b: c\n").starts_with("f.yaml:1: not valid YAML: ")) << message_of("a: b: c\n");
  EXPECT_TRUE(message_of("model: {path: m}\n\tx: 1\n").starts_with("f.yaml:2: ")) << message_of("model: {path: m}\n\tx: 1\n");
}

TEST(FleetConfig, ATokenInThePlaceOfItsDigestIsNotRepeated) {
  EXPECT_EQ(message_of("model: {path: m}\naccess: {tokens: [{name: t, sha256: SECRET_VALUE}]}\n").find("SECRET_VALUE"), std::string::npos);
}

TEST(FleetConfig, SeveralProblemsAreReportedTogetherUpToTen) {
  std::string text = "model: {path: m, servers: 0, threads: x}\n";
  EXPECT_EQ(message_of(text),
            "f.yaml:1: model.servers: 0 is out of range; allowed: a whole number from 1 to 64\n"
            "f.yaml:1: model.threads: x is given; allowed: a whole number from 1 to 1024");
  for (int i = 0; i < 14; ++i) text += "zz" + std::to_string(i) + ": 1\n";
  const std::string message = message_of(text);
  EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 10);
  EXPECT_TRUE(message.ends_with("\nand 6 more")) << message;
}

TEST(FleetConfig, DepthAndSizeAreBounded) {
  const std::string deep = "model: " + std::string(20, '[') + std::string(20, ']');
  EXPECT_EQ(message_of(deep), "f.yaml:1: lists and mappings are nested too deeply; allowed: 16 levels");
  EXPECT_TRUE(message_of("model: " + std::string(100000, '[')).starts_with("f.yaml:1: "));
  EXPECT_EQ(message_of(std::string(1024 * 1024 + 1, '#')), "f.yaml:1: the file has 1048577 bytes; allowed: at most 1048576");
}

TEST(FleetConfig, AnAliasBombIsRefusedAtItsFirstAlias) {
  std::string text = "a: &a [x,x,x,x,x,x,x,x,x]\n";
  for (char c = 'b'; c < 'k'; ++c) text += fmt::format("{0}: &{0} [*{1},*{1},*{1},*{1},*{1},*{1},*{1},*{1},*{1}]\n", c, static_cast<char>(c - 1));
  EXPECT_EQ(message_of(text), "f.yaml:2: an alias is given; allowed: the value itself, written out");
}

TEST(FleetConfig, AFileThatIsNotThereIsNamed) {
  const auto config = load_file("/nonexistent/fleet.yaml");
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(config.error().message, "/nonexistent/fleet.yaml: the configuration cannot be opened: No such file or directory");
  const auto folder = load_file(kRoot + "/src");
  ASSERT_FALSE(folder);
  EXPECT_TRUE(folder.error().message.find("cannot be") != std::string::npos) << folder.error().message;
}

}  // namespace
}  // namespace flexpert::config
