#include "gateway/access_watch.h"

#include <thread>
#include <utility>

#include "base/log.h"
#include "config/file_watch.h"
#include "gateway/access_files.h"

namespace flexpert::gateway {
namespace {

/// A key store that was replaced by another one is told of as a whole past so many keys.
constexpr std::size_t kMostKeyRecords = 100;

std::vector<std::string> certificate_paths(const config::FleetConfig& config) {
  std::vector<std::string> paths;
  if (const auto& tls = config.gateway.listeners.tls) paths = {tls->certificate_file, tls->key_file};
  for (const config::UpstreamConfig& upstream : config.upstreams)
    for (const std::string& file : {upstream.ca_file, upstream.api_key_file})
      if (!file.empty()) paths.push_back(file);
  return paths;
}

class Watch final : public AccessWatch {
 public:
  Watch(net::EventLoop& loop, const Clock& clock, const config::FleetConfig& config, telemetry::Registry& registry, Events events,
        Duration interval)
      : loop_(loop),
        clock_(clock),
        config_(config),
        events_(std::move(events)),
        interval_(interval),
        written_(written_access_paths(config)),
        stored_(stored_access_paths(config)),
        certificates_(certificate_paths(config)),
        good_(registry.counter("flexpert_gateway_access_reloads_total", "Times that policy and keys were read anew", {{"result", "ok"}})),
        bad_(
            registry.counter("flexpert_gateway_access_reloads_total", "Times that policy and keys were read anew", {{"result", "failed"}})),
        failing_(
            registry.gauge("flexpert_gateway_access_files_bad", "1 while the files on disk cannot be taken and older ones are in force")),
        keys_(registry.gauge("flexpert_gateway_api_keys", "API keys that are stored, revoked and expired ones too")) {}

  ~Watch() override {
    loop_.cancel(timer_);
    if (reader_.joinable()) reader_.join();
  }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  Result<void> begin() {
    FLEXPERT_ASSIGN(AccessFiles files, read_access_files(config_));
    FLEXPERT_ASSIGN(snapshot_, make_access_snapshot(files));
    remember(std::move(files));
    arm();
    return {};
  }

  [[nodiscard]] const AccessSnapshot& snapshot() const override { return snapshot_; }

  void reload() override {
    read();
    if (events_.certificates) events_.certificates();
  }

 private:
  void arm() {
    timer_ = loop_.call_after(interval_, [this] {
      arm();
      look();
    });
  }

  void look() {
    const bool written = written_.changed(), stored = stored_.changed();
    if (written || stored) read();
    if (certificates_.changed() && events_.certificates) events_.certificates();
  }

  /// Reads on a thread of its own; what changes meanwhile is read right after.
  void read() {
    if (reading_) {
      again_ = true;
      return;
    }
    reading_ = true;
    if (reader_.joinable()) reader_.join();
    reader_ = std::thread([this, alive = std::weak_ptr<int>(alive_)] {
      loop_.post([this, alive, files = read_access_files(config_)]() mutable {
        if (!alive.expired()) take(std::move(files));
      });
    });
  }

  void take(Result<AccessFiles> files) {
    reading_ = false;
    if (std::exchange(again_, false)) read();
    if (!files) return refuse(files.error());
    auto snapshot = make_access_snapshot(*files);
    if (!snapshot) return refuse(snapshot.error());
    good_.add();
    failing_.set(0);
    snapshot_ = std::move(*snapshot);
    report(*files);
    remember(std::move(*files));
    if (events_.access) events_.access(snapshot_);
  }

  void refuse(const Error& error) {
    bad_.add();
    failing_.set(1);
    log::error("the files of access are not taken, what was read before stays in force: {}", error.message);
    audit("policy.reload", {}, error.message);
  }

  void remember(AccessFiles files) {
    for (const std::string& warning : files.warnings) log::warn("{}", warning);
    keys_.set(files.keys == nullptr ? 0 : static_cast<double>(files.keys->records().size()));
    revision_ = snapshot_.policy->rules().revision;
    files_ = std::move(files);
  }

  void report(const AccessFiles& now) {
    const auth::PolicyRules& rules = snapshot_.policy->rules();
    if (rules.revision != revision_) {
      log::info("the policy is now {}: {} roles, {} tenants, {} expert groups", rules.revision, rules.roles.size(), rules.tenants.size(),
                rules.groups.size());
      audit("policy.reload", rules.revision, "changed");
    }
    if (now.keys == nullptr || files_.keys == nullptr) return;
    const std::vector<KeyChange> changes = key_changes(*files_.keys, *now.keys);
    if (!changes.empty()) log::info("{} API key(s) changed, there are {}", changes.size(), now.keys->records().size());
    if (changes.size() > kMostKeyRecords) return audit("keys.change", std::to_string(changes.size()), "many keys changed at once");
    for (const KeyChange& change : changes) audit(change.action, change.id, "changed");
  }

  void audit(std::string_view action, std::string_view object, std::string_view reason) {
    if (!events_.audit) return;
    events_.audit({.unix_ms = clock_.unix_ms(),
                   .event = "admin",
                   .request_id = {},
                   .tenant = {},
                   .principal = "file",
                   .peer = {},
                   .action = action,
                   .object = object,
                   .reason = reason,
                   .policy_revision = snapshot_.policy->rules().revision});
  }

  net::EventLoop& loop_;
  const Clock& clock_;
  const config::FleetConfig config_;
  Events events_;
  Duration interval_;
  // Made before anything is read: what changes while it is read is seen afterwards.
  config::SettledFileWatch written_;
  config::FileWatch stored_;
  config::SettledFileWatch certificates_;
  telemetry::Counter good_, bad_;
  telemetry::Gauge failing_, keys_;
  AccessSnapshot snapshot_;
  AccessFiles files_;
  std::string revision_;
  net::TimerId timer_ = 0;
  bool reading_ = false;
  bool again_ = false;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
  std::thread reader_;
};

}  // namespace

Result<std::unique_ptr<AccessWatch>> AccessWatch::start(net::EventLoop& loop, const Clock& clock, const config::FleetConfig& config,
                                                        telemetry::Registry& registry, Events events, Duration interval) {
  auto watch = std::make_unique<Watch>(loop, clock, config, registry, std::move(events), interval);
  FLEXPERT_TRY(watch->begin());
  return std::unique_ptr<AccessWatch>(std::move(watch));
}

}  // namespace flexpert::gateway
