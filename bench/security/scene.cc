#include "security/scene.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include <fmt/format.h>

#include "security/jwt_maker.h"

namespace flexpert::bench::security {
namespace {

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write(const std::string& path, const std::string& text, int mode = 0600) {
  std::ofstream(path, std::ios::binary) << text;
  ::chmod(path.c_str(), static_cast<mode_t>(mode));
}

/// Returns the port behind `marker` in `text`; 0 if it is not there yet.
std::uint16_t port_behind(const std::string& text, const std::string& marker) {
  const std::size_t at = text.find(marker);
  if (at == std::string::npos) return 0;
  const std::size_t colon = text.find(':', text.find("//", at) + 2);
  return static_cast<std::uint16_t>(std::atoi(text.c_str() + colon + 1));
}

}  // namespace

Result<void> Scene::make_files() {
  std::string pattern = (std::filesystem::temp_directory_path() / "flexpert-security-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) return fail(ErrorCode::kUnavailable, "no temporary folder");
  folder = pattern;
  rsa_pem = make_rsa_pem();
  ec_pem = make_ec_pem();
  rsa_public_pem = public_pem(rsa_pem);
  write(folder + "/jwks.json", fmt::format(R"({{"keys":[{},{}]}})", rsa_jwk(rsa_pem, "rsa-1"), ec_jwk(ec_pem, "ec-1")));
  write(folder + "/pool.secret", "pool-secret-of-the-scene-of-security");
  write(folder + "/internal.secret", std::string(32, 's'));
  write(folder + "/gateway.yaml", fmt::format(R"(
runtime_dir: {0}
gateway:
  listen: 127.0.0.1:0
  metrics_listen: 127.0.0.1:0
  admin_listen: 127.0.0.1:0
  max_body_bytes: 1MiB
  limits: {{head_timeout_s: 1, body_idle_timeout_s: 1, idle_timeout_s: 3}}
  cache: {{enabled: true}}
  log: {{access: {0}/access.log, audit: {0}/audit.log}}
access:
  keys_file: {0}/keys.db
  pepper_file: {0}/pepper
  internal_secret_file: {0}/internal.secret
  pool_secret_file: {0}/pool.secret
  pool_networks: [127.0.0.0/8]
  jwt:
    - issuer: https://issuer.test
      audiences: [flexpert]
      jwks_file: {0}/jwks.json
      algorithms: [RS256, ES256]
      leeway_s: 5
      allowed_roles: [basic]
  policy:
    expert_groups:
      - {{name: secret, model: m-experts, security: high, layer: 0, experts: [1, 2]}}
      - {{name: hidden, model: m-masked, security: high, layer: 0, experts: [3]}}
    roles:
      basic: {{models: [m-one]}}
      premium: {{models: ["m-*"], expert_groups: [secret]}}
      admin: {{models: [], admin: [view, operate, keys, register]}}
    tenants:
      acme: {{requests_per_minute: 10000000}}
upstreams:
  - {{name: plain, url: "http://127.0.0.1:{1}", models: [m-one, m-two, m-masked]}}
  - {{name: ours, url: "http://127.0.0.1:{2}", models: [m-experts], flexpert: true}}
)",
                                          folder, plain.port(), ours.port()));
  const auto key = [&](const std::string& arguments) {
    const std::string made = run("keys create -c " + folder + "/gateway.yaml --json " + arguments);
    const std::size_t at = made.find("\"fx-");
    return at == std::string::npos ? std::string() : made.substr(at + 1, 46);
  };
  alice = key("--tenant acme --role basic --name alice");
  bob = key("--tenant beta --role premium --name bob");
  carol = key("--tenant acme --role premium --name carol");
  dave = key("--tenant beta --role basic --name dave");
  root = key("--tenant ops --role admin --name root");
  expired = key("--tenant acme --role basic --name late --expires 1s");
  const std::string made = run("keys create -c " + folder + "/gateway.yaml --json --tenant acme --role basic --name gone");
  revoked = made.substr(made.find("\"fx-") + 1, 46);
  const std::size_t id = made.find("key_");
  if (id == std::string::npos || alice.empty() || root.empty()) return fail(ErrorCode::kUnavailable, "no keys were made: {}", made);
  run("keys revoke -c " + folder + "/gateway.yaml " + made.substr(id, made.find('"', id) - id));
  return {};
}

Result<void> Scene::start_gateway() {
  pid_ = ::fork();
  if (pid_ == 0) {
    const int log = ::open((folder + "/stdout.log").c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
    ::dup2(log, 1);
    ::dup2(log, 2);
    const std::string config = folder + "/gateway.yaml";
    ::execl(program.c_str(), program.c_str(), "gateway", "-c", config.c_str(), nullptr);
    ::_exit(127);
  }
  const auto keys_made = std::chrono::steady_clock::now();
  for (int i = 0; i < 1000; ++i) {
    const std::string said = read(folder + "/stdout.log");
    api = port_behind(said, "gateway listening on http://");
    probes = port_behind(said, "metrics on http://");
    admin = port_behind(said, "admin on http://");
    if (api != 0 && probes != 0 && admin != 0 && attack(probes, request("GET", "/ready", "", "")).status() == 200) {
      const int status = attack(api, request("POST", kChat, bob, chat("m-experts"))).status();
      // The key that lives for a second must be dead.
      if (status == 200 && std::chrono::steady_clock::now() - keys_made > Millis(1200)) return {};
    }
    if (!gateway_alive()) break;
    std::this_thread::sleep_for(Millis(10));
  }
  return fail(ErrorCode::kUnavailable, "the gateway does not serve: {}", read(folder + "/stdout.log"));
}

Result<std::unique_ptr<Scene>> Scene::start(const std::string& flexpert) {
  std::unique_ptr<Scene> scene(new Scene());
  scene->program = flexpert;
  FLEXPERT_TRY(scene->make_files());
  FLEXPERT_TRY(scene->start_gateway());
  return scene;
}

Scene::~Scene() {
  if (pid_ > 0) {
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
  }
  std::error_code error;
  if (!folder.empty()) std::filesystem::remove_all(folder, error);
}

std::vector<Seen> Scene::reached() {
  std::vector<Seen> all = plain.take();
  for (Seen& seen : ours.take()) all.push_back(std::move(seen));
  return all;
}

std::string Scene::access_log() const { return read(folder + "/access.log"); }

std::string Scene::everything_written() const { return read(folder + "/stdout.log") + access_log() + read(folder + "/audit.log"); }

bool Scene::gateway_alive() const { return pid_ > 0 && ::waitpid(pid_, nullptr, WNOHANG) == 0; }

std::string Scene::run(const std::string& arguments) const {
  std::string out;
  FILE* pipe = ::popen((program + " " + arguments + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return out;
  char piece[4096];
  while (const std::size_t got = std::fread(piece, 1, sizeof piece, pipe)) out.append(piece, got);
  ::pclose(pipe);
  return out;
}

}  // namespace flexpert::bench::security
