#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "crypto/digest.h"
#include "gateway/registration_networks.h"
#include "gateway/server_directory.h"
#include "gateway/upstream_probe.h"
#include "net/event_loop.h"

namespace flexpert::gateway {

/// Where engines register: POST {"url", "models", "weight"} and again before it expires, DELETE {"url"}, GET for the list.
inline constexpr std::string_view kRegisterPath = "/internal/register";

struct RegistrationOptions {
  std::string secret;                  ///< of the pool; empty: registration is off
  RegistrationNetworks networks;
  Duration lifetime = Seconds(30);     ///< without a renewal
  Duration probe_interval = Seconds(2);
  Duration probe_timeout = Seconds(3);
  std::size_t max_engines = 1024;
};

/// Engines that say themselves that they are there. Who knows the pool's secret may register an address of the listed networks; a
/// name is looked up once, all its addresses must be permitted, and the one that was found stays, so that a name cannot point
/// elsewhere later. Nothing is sent there but GET /v1/models until its answer has proved the model; that is asked again at an
/// interval, and an engine that is not heard of for `lifetime` is forgotten. Requests on their way there end as they would.
/// Belongs to the loop's thread.
class EngineRegistration {
 public:
  struct Answer {
    int status = 0;
    std::string body;  ///< JSON
  };
  using Done = std::move_only_function<void(Answer)>;
  using Found = std::move_only_function<void(Result<std::vector<net::Address>>)>;
  /// Looks up a name; what it returns keeps the lookup alive. Tests have their own.
  using Lookup = std::function<Result<std::shared_ptr<void>>(const net::Address&, Found)>;

  EngineRegistration(net::EventLoop& loop, ServerDirectory& directory, RegistrationOptions options, ServerDirectory::Connect connect,
                     Lookup lookup = {});
  ~EngineRegistration();
  EngineRegistration(const EngineRegistration&) = delete;
  EngineRegistration& operator=(const EngineRegistration&) = delete;

  /// Carries out a call on kRegisterPath. `secret`: what the caller showed ("Authorization: Bearer SECRET"). `done` runs once, at
  /// once or when a name was looked up; it does not run if this is destroyed before.
  void handle(std::string_view method, std::string_view body, std::string_view secret, Done done);
  [[nodiscard]] std::size_t engines() const { return engines_.size(); }

 private:
  struct Engine;
  struct Asked;
  void register_engine(Asked asked, Done done);
  void found(std::uint64_t lookup, const Result<std::vector<net::Address>>& addresses);
  void take(Asked asked, const std::vector<net::Address>& addresses, Done done);
  void leave(const std::string& id);
  void probe(Engine& engine);
  void probed(const std::string& id, const Result<ProbeAnswer>& answer);
  void tick();
  [[nodiscard]] std::string describe(const Engine& engine) const;

  net::EventLoop& loop_;
  ServerDirectory& directory_;
  RegistrationOptions options_;
  crypto::Digest secret_digest_;
  ServerDirectory::Connect connect_;
  Lookup lookup_;
  std::map<std::string, std::unique_ptr<Engine>, std::less<>> engines_;
  struct Waiting;
  std::map<std::uint64_t, std::unique_ptr<Waiting>> lookups_;
  std::uint64_t next_lookup_ = 1;
  net::TimerId timer_ = 0;
};

}  // namespace flexpert::gateway
