#include "gateway/engine_registration.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "codec/json_text.h"
#include "gateway/engine_registration_body.h"
#include "gateway/request_scan.h"
#include "net/name_lookup.h"

namespace flexpert::gateway {
namespace {

constexpr std::string_view kModelsPath = "/v1/models";
/// Names that are looked up at a time, each in a thread.
constexpr std::size_t kMostLookups = 16;

EngineRegistration::Answer refusal(int status, std::string_view message, std::string_view code) {
  std::string body = "{\"error\":{\"message\":";
  codec::append_json_string(body, message);
  const std::string_view type = status == 401 ? "authentication_error" : "invalid_request_error";
  body += fmt::format(R"(,"type":"{}","param":null,"code":"{}"}}}})", type, code);
  return {status, std::move(body)};
}

Result<std::shared_ptr<void>> look_up_by_system(net::EventLoop& loop, const net::Address& address, EngineRegistration::Found found) {
  FLEXPERT_ASSIGN(std::shared_ptr<net::NameLookup> lookup, net::NameLookup::start(loop, address, std::move(found)));
  return lookup;
}

std::string authority_of(const RegistrationBody& body) { return body.url.substr(body.url.find("://") + 3); }

}  // namespace

/// What was asked for and not yet granted.
struct EngineRegistration::Asked {
  RegistrationBody body;
};

struct EngineRegistration::Waiting {
  Asked asked;
  Done done;
  std::shared_ptr<void> lookup;
};

struct EngineRegistration::Engine {
  std::string id;
  std::vector<std::string> asked_models;
  ModelServer target;  ///< how it is reached, for probes
  double weight = 1;
  TimePoint expires{};
  TimePoint next_probe{};
  bool proved = false;
  std::vector<std::string> models;  ///< proved
  std::string problem = "not probed yet";
  std::unique_ptr<http::OutboundUpstream> upstream;
  std::unique_ptr<UpstreamProbe> probe;  // before upstream in dying
};

EngineRegistration::EngineRegistration(net::EventLoop& loop, ServerDirectory& directory, RegistrationOptions options,
                                       ServerDirectory::Connect connect, Lookup lookup)
    : loop_(loop),
      directory_(directory),
      options_(std::move(options)),
      secret_digest_(crypto::sha256(options_.secret)),
      connect_(std::move(connect)),
      lookup_(std::move(lookup)) {
  if (!lookup_) lookup_ = [this](const net::Address& address, Found found) { return look_up_by_system(loop_, address, std::move(found)); };
  tick();
}

EngineRegistration::~EngineRegistration() { loop_.cancel(timer_); }

void EngineRegistration::handle(std::string_view method, std::string_view body, std::string_view secret, Done done) {
  if (options_.secret.empty() || options_.networks.empty())
    return done(refusal(403, "Registration is off; set access.pool_secret_file and access.pool_networks", "registration_off"));
  // Of digests: so neither the time nor the comparison tells anything of the secret, its length included.
  const crypto::Digest shown = crypto::sha256(secret);
  const auto text = [](const crypto::Digest& digest) {
    return std::string_view(reinterpret_cast<const char*>(digest.data()), digest.size());
  };
  if (!crypto::equal_in_constant_time(text(shown), text(secret_digest_)))
    return done(refusal(401, "The pool's secret is missing or wrong", "invalid_pool_secret"));
  if (method == "GET") {
    std::string list = "{\"engines\":[";
    for (const auto& [id, engine] : engines_) list += (list.back() == '[' ? "" : ",") + describe(*engine);
    return done({200, list + "]}"});
  }
  if (method != "POST" && method != "DELETE") return done(refusal(405, "Registration takes GET, POST and DELETE", "method_not_allowed"));
  auto parsed = parse_registration(body, method == "DELETE");
  if (!parsed) return done(refusal(400, parsed.error().message, "invalid_registration"));
  if (method == "POST") return register_engine({std::move(*parsed)}, std::move(done));
  const std::string id = authority_of(*parsed);
  if (!engines_.contains(id)) return done(refusal(404, fmt::format("Not registered: {}", id), "not_registered"));
  leave(id);
  log::info("engine {} left", id);
  done({200, "{\"state\":\"gone\"}"});
}

void EngineRegistration::register_engine(Asked asked, Done done) {
  const std::string id = authority_of(asked.body);
  const auto existing = engines_.find(id);
  if (existing != engines_.end() && existing->second->target.tls == asked.body.tls) {
    // A renewal: the address stays the one that was found first.
    Engine& engine = *existing->second;
    engine.expires = loop_.now() + options_.lifetime;
    if (engine.asked_models != asked.body.models || engine.weight != asked.body.weight) {
      engine.asked_models = std::move(asked.body.models);
      engine.weight = asked.body.weight;
      engine.proved = false;
      engine.problem = "not probed yet";
      directory_.remove_registered(id);
      engine.probe.reset();
      probe(engine);
    }
    return done({200, describe(engine)});
  }
  if (existing != engines_.end()) leave(id);
  if (engines_.size() >= options_.max_engines) return done(refusal(429, "Too many engines are registered", "too_many_engines"));
  if (!asked.body.address.needs_lookup()) {
    const std::vector<net::Address> addresses{asked.body.address};
    return take(std::move(asked), addresses, std::move(done));
  }
  if (lookups_.size() >= kMostLookups) return done(refusal(429, "Too many names are being looked up; try again", "too_many_lookups"));
  const std::uint64_t number = next_lookup_++;
  const net::Address address = asked.body.address;
  Waiting& waiting = *lookups_.emplace(number, std::make_unique<Waiting>(std::move(asked), std::move(done), nullptr)).first->second;
  auto lookup = lookup_(address, [this, number](Result<std::vector<net::Address>> addresses) { found(number, addresses); });
  if (!lookup) return found(number, fail(lookup.error()));
  if (lookups_.contains(number)) waiting.lookup = std::move(*lookup);
}

void EngineRegistration::found(std::uint64_t lookup, const Result<std::vector<net::Address>>& addresses) {
  const auto at = lookups_.find(lookup);
  const std::unique_ptr<Waiting> waiting = std::move(at->second);
  lookups_.erase(at);
  if (!addresses) return waiting->done(refusal(400, fmt::format("url: {}", addresses.error().message), "unknown_host"));
  take(std::move(waiting->asked), *addresses, std::move(waiting->done));
}

void EngineRegistration::take(Asked asked, const std::vector<net::Address>& addresses, Done done) {
  const std::string id = authority_of(asked.body);
  if (addresses.empty()) return done(refusal(400, "url: the host has no address", "unknown_host"));
  for (const net::Address& address : addresses)
    if (const auto permitted = options_.networks.permits(address.host_or_path); !permitted) {
      log::warn("engine {} may not register: {}", id, permitted.error().message);
      return done(refusal(403, fmt::format("url: {}", permitted.error().message), "address_not_allowed"));
    }
  const auto server = directory_.servers().find(id);
  if (server != directory_.servers().end() && server->second.source != ServerSource::kRegistered)
    return done(refusal(409, fmt::format("Another server has this name: {}", id), "already_there"));
  auto made = std::make_unique<Engine>();
  made->id = made->target.id = id;
  made->asked_models = std::move(asked.body.models);
  made->target.address = addresses.front();
  made->target.host = id;
  made->target.tls = asked.body.tls;
  made->target.source = ServerSource::kRegistered;
  made->weight = asked.body.weight;
  made->expires = loop_.now() + options_.lifetime;
  made->upstream = connect_(made->target);
  if (!made->upstream) return done(refusal(400, "url: this gateway cannot connect to such an address", "unsupported_url"));
  Engine& engine = *(engines_[id] = std::move(made));
  log::info("engine {} registers from {}", id, engine.target.address.to_string());
  probe(engine);
  done({202, describe(engine)});
}

void EngineRegistration::leave(const std::string& id) {
  directory_.remove_registered(id);
  engines_.erase(id);
}

void EngineRegistration::probe(Engine& engine) {
  engine.next_probe = TimePoint::max();
  engine.probe = std::make_unique<UpstreamProbe>(loop_, *engine.upstream, engine.target, kModelsPath, std::string_view(),
                                                 options_.probe_timeout, [this, id = engine.id](const Result<ProbeAnswer>& answer) { probed(id, answer); });
}

void EngineRegistration::probed(const std::string& id, const Result<ProbeAnswer>& answer) {
  Engine& engine = *engines_.find(id)->second;
  const std::unique_ptr<UpstreamProbe> over = std::move(engine.probe);
  engine.next_probe = loop_.now() + options_.probe_interval;
  std::vector<std::string> models;
  engine.problem.clear();
  if (!answer) engine.problem = answer.error().message;
  else if (answer->status != 200) engine.problem = fmt::format("GET {} answered {}", kModelsPath, answer->status);
  if (engine.problem.empty()) {
    auto listed = parse_model_list(answer->body);
    if (!listed) engine.problem = fmt::format("its model list cannot be read: {}", listed.error().message);
    else models = std::move(*listed);
  }
  if (!engine.asked_models.empty())
    std::erase_if(models, [&](const std::string& model) {
      return std::find(engine.asked_models.begin(), engine.asked_models.end(), model) == engine.asked_models.end();
    });
  if (engine.problem.empty() && models.empty()) engine.problem = "it lists none of the models that it was registered with";
  const bool well = engine.problem.empty();
  if (well != engine.proved) log::info("engine {} is {}{}{}", id, well ? "ready" : "not ready", well ? "" : ": ", engine.problem);
  engine.proved = well;
  if (!well) return directory_.set_health(id, false, std::nullopt);
  if (models != engine.models || !directory_.servers().contains(id)) {
    engine.models = models;
    if (!directory_.add_registered({.id = id,
                                    .address = engine.target.address,
                                    .host = engine.target.host,
                                    .models = std::move(models),
                                    .tls = engine.target.tls,
                                    .weight = engine.weight})) {
      engine.proved = false;
      engine.problem = "another server has this name";
      return;
    }
  }
  directory_.set_health(id, true, std::nullopt);
}

void EngineRegistration::tick() {
  timer_ = loop_.call_after(options_.probe_interval / 2, [this] { tick(); });
  std::vector<std::string> expired;
  for (const auto& [id, engine] : engines_) {
    if (loop_.now() >= engine->expires) expired.push_back(id);
    else if (loop_.now() >= engine->next_probe && !engine->probe) probe(*engine);
  }
  for (const std::string& id : expired) {
    log::warn("engine {} was not heard of and is forgotten", id);
    leave(id);
  }
}

std::string EngineRegistration::describe(const Engine& engine) const {
  std::string text = "{\"url\":";
  codec::append_json_string(text, fmt::format("{}://{}", engine.target.tls ? "https" : "http", engine.id));
  text += ",\"address\":";
  codec::append_json_string(text, engine.target.address.to_string());
  text += fmt::format(",\"state\":\"{}\",\"expires_in_s\":{},\"models\":[", engine.proved ? "ready" : "not_ready",
                      std::max<std::int64_t>(0, std::chrono::duration_cast<Seconds>(engine.expires - loop_.now()).count()));
  for (const std::string& model : engine.proved ? engine.models : std::vector<std::string>()) {
    if (text.back() != '[') text += ',';
    codec::append_json_string(text, model);
  }
  text += ']';
  if (!engine.proved) {
    text += ",\"reason\":";
    codec::append_json_string(text, engine.problem);
  }
  return text + '}';
}

}  // namespace flexpert::gateway
