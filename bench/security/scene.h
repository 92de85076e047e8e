#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "security/recording_backend.h"
#include "security/wire.h"

namespace flexpert::bench::security {

/// Keeps count of named cases. A case holds when its check found no problem.
class Suite {
 public:
  /// Runs one case: `check` returns what is wrong, or nothing.
  void run(const std::string& name, const std::function<std::string()>& check);
  [[nodiscard]] int held() const { return held_; }
  [[nodiscard]] int total() const { return total_; }
  /// Only names that contain this are run; empty = all.
  void only(std::string part) { only_ = std::move(part); }
  /// Prints every name with its verdict, not only those that fail.
  void verbose() { verbose_ = true; }

 private:
  int held_ = 0;
  int total_ = 0;
  bool verbose_ = false;
  std::string only_;
};

/// A real gateway in front of two recording backends: `plain`, any OpenAI engine, and `ours`, which gets signed grants.
/// Who there is: alice (tenant acme, role basic: model m-one), bob (tenant beta, role premium: every model and the group `secret`), carol (acme,
/// premium), dave (beta, basic), root (role admin), and JWTs of https://issuer.test.
class Scene {
 public:
  static Result<std::unique_ptr<Scene>> start(const std::string& flexpert);
  ~Scene();

  RecordingBackend plain{{"m-one", "m-two", "m-masked"}};
  RecordingBackend ours{{"m-experts"}};
  std::uint16_t api = 0;
  std::uint16_t probes = 0;
  std::uint16_t admin = 0;
  std::string alice, bob, carol, dave, root, revoked, expired;  ///< key texts
  std::string rsa_pem, ec_pem;    ///< private keys of the issuer; kids rsa-1, ec-1
  std::string rsa_public_pem;
  std::string folder;
  std::string program;

  /// Returns what reached either backend since the last call.
  std::vector<Seen> reached();
  /// What the gateway wrote: stdout, stderr, access log, audit log.
  [[nodiscard]] std::string everything_written() const;
  [[nodiscard]] std::string access_log() const;
  [[nodiscard]] bool gateway_alive() const;
  /// Runs `flexpert ARGUMENTS`; returns its stdout.
  std::string run(const std::string& arguments) const;

 private:
  Scene() = default;
  Result<void> make_files();
  Result<void> start_gateway();
  int pid_ = -1;
};

inline constexpr std::string_view kChat = "/v1/chat/completions";

/// A chat request's body.
std::string chat(std::string_view model, std::string_view prompt = "hello", std::string_view more = "");
/// A request with Host, the key as bearer token (none if empty), further field lines ("Name: value\r\n"), and Content-Length.
std::string request(std::string_view method, std::string_view target, std::string_view key, std::string_view body, std::string_view fields = "");

/// Sends `bytes`, expects a status of `statuses` (0: closed without an answer) and that nothing reached a backend. Returns the problem.
std::string refused(Scene& scene, std::string_view bytes, const std::vector<int>& statuses, std::string_view why = "");
/// Sends `bytes`, expects 200 and that exactly one request reached a backend, for which `look` finds nothing wrong.
std::string taken(Scene& scene, std::string_view bytes, const std::function<std::string(const Seen&)>& look = {});

// The groups of cases, a file each.
void smuggling_cases(Suite& suite, Scene& scene);
void answer_cases(Suite& suite, Scene& scene);
void spoofing_cases(Suite& suite, Scene& scene);
void credential_cases(Suite& suite, Scene& scene);
void jwt_cases(Suite& suite, Scene& scene);
void body_cases(Suite& suite, Scene& scene);
void surface_cases(Suite& suite, Scene& scene);
void size_and_time_cases(Suite& suite, Scene& scene);
void cache_cases(Suite& suite, Scene& scene);
void registration_cases(Suite& suite, Scene& scene);
void secret_cases(Suite& suite, Scene& scene);

}  // namespace flexpert::bench::security
