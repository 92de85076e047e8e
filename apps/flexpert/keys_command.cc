#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "auth/policy.h"
#include "base/clock.h"
#include "config/policy_reader.h"
#include "config/timestamp.h"
#include "flexpert/described_command.h"
#include "flexpert/exit_codes.h"
#include "flexpert/keys_file.h"
#include "flexpert/pretty_json.h"
#include "report/table.h"
#include "report/terminal.h"

namespace flexpert::app {
namespace {

namespace json = boost::json;

enum class Verb { kNone, kCreate, kList, kRevoke, kRotate };

struct KeysOptions {
  Verb verb = Verb::kNone;
  std::string config;
  std::string store;
  std::string pepper;
  std::string tenant;
  std::string name;
  std::string id;
  std::string record;
  std::vector<std::string> roles;
  std::optional<std::int64_t> expires_ms;  ///< from now
  std::int64_t grace_ms = 24 * 3'600'000;
  bool json = false;
};

std::string time_or(std::int64_t unix_ms, const char* none) { return unix_ms == 0 ? none : config::format_timestamp(unix_ms); }

const char* state_of(const auth::ApiKeyRecord& key, std::int64_t now_ms) {
  if (key.revoked_unix_ms != 0) return "revoked";
  if (key.expires_unix_ms != 0 && key.expires_unix_ms <= now_ms) return key.replaced_by.empty() ? "expired" : "replaced";
  return key.replaced_by.empty() ? "live" : "ending";
}

json::object json_of(const auth::ApiKeyRecord& key, std::int64_t now_ms) {
  const auto time = [](std::int64_t unix_ms) { return unix_ms == 0 ? json::value() : json::value(config::format_timestamp(unix_ms)); };
  return {{"id", key.id},
          {"name", key.name},
          {"tenant", key.tenant},
          {"roles", json::value_from(key.roles)},
          {"state", state_of(key, now_ms)},
          {"created", time(key.created_unix_ms)},
          {"expires", time(key.expires_unix_ms)},
          {"revoked", time(key.revoked_unix_ms)},
          {"replaced_by", key.replaced_by.empty() ? json::value() : json::value(key.replaced_by)}};
}

std::string sentence_of(const auth::ApiKeyRecord& key) {
  return fmt::format("{} of tenant {}, roles {}, {}", key.id, key.tenant, fmt::join(key.roles, ", "),
                     key.expires_unix_ms == 0 ? "without end" : "until " + config::format_timestamp(key.expires_unix_ms));
}

/// The key's text goes to stdout, alone, so that a script can take it; what it is to stderr.
void show_new(const NewKey& made, const KeysOptions& options, std::int64_t now_ms, std::string_view more = {}) {
  if (options.json) {
    json::object object = json_of(made.record, now_ms);
    object["key"] = made.text;
    fmt::print("{}\n", json::serialize(object));
    return;
  }
  fmt::print(stderr, "{}{}\nThis is the key. It is shown once and kept nowhere:\n", sentence_of(made.record), more);
  fmt::print("{}\n", made.text);
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

Result<void> check_new(const KeysOptions& options, const KeyPlaces& places) {
  if (options.tenant.empty() || options.tenant.size() > 256 || has_control(options.tenant))
    return fail(ErrorCode::kInvalidArgument, "a tenant has 1 to 256 bytes without control characters");
  if (options.tenant == "anonymous")
    return fail(ErrorCode::kInvalidArgument, "the tenant \"anonymous\" is that of callers without a key; name another");
  if (options.name.size() > 256 || has_control(options.name))
    return fail(ErrorCode::kInvalidArgument, "a name has up to 256 bytes without control characters");
  for (const std::string& role : options.roles) {
    if (!config::is_role_name(role))
      return fail(ErrorCode::kInvalidArgument, "\"{}\" cannot name a role; allowed: up to 64 letters, digits, '.', '_' and '-'",
                  role.substr(0, 64));
    if (!places.roles.empty() && std::find(places.roles.begin(), places.roles.end(), role) == places.roles.end())
      fmt::print(stderr, "flexpert keys: the policy has no role {}; until it has, the key may do nothing by it\n", role);
  }
  return {};
}

Result<void> create(const KeysOptions& options, const KeyPlaces& places, std::int64_t now_ms) {
  FLEXPERT_TRY(check_new(options, places));
  auth::ApiKeyRecord record{.id = {},
                            .digest = {},
                            .name = options.name,
                            .tenant = options.tenant,
                            .roles = options.roles,
                            .created_unix_ms = now_ms,
                            .replaced_by = {}};
  if (options.expires_ms) record.expires_unix_ms = now_ms + *options.expires_ms;
  if (!options.record.empty()) {
    FLEXPERT_ASSIGN(const NewKey made, make_key(places.pepper, ::access(options.record.c_str(), F_OK) == 0, std::move(record)));
    FLEXPERT_TRY(append_key_record(options.record, made.record));
    show_new(made, options, now_ms);
    return {};
  }
  FLEXPERT_ASSIGN(const auto store, store::KeyStore::open(places.store));
  FLEXPERT_ASSIGN(const auto there, store->all());
  FLEXPERT_ASSIGN(const NewKey made, make_key(places.pepper, !there.empty(), std::move(record)));
  FLEXPERT_TRY(store->add(made.record));
  show_new(made, options, now_ms);
  return {};
}

Result<void> list(const KeysOptions& options, const KeyPlaces& places, std::int64_t now_ms) {
  FLEXPERT_ASSIGN(const auto store, store::KeyStore::open_existing(places.store));
  FLEXPERT_ASSIGN(const auto keys, store->all());
  if (options.json) {
    json::array all;
    for (const auth::ApiKeyRecord& key : keys) all.push_back(json_of(key, now_ms));
    fmt::print("{}", pretty_json(json::object{{"keys", all}}));
    return {};
  }
  report::Table table({{"ID"}, {"STATE"}, {"TENANT"}, {"ROLES"}, {"NAME"}, {"CREATED"}, {"ENDS"}, {"REPLACED BY"}});
  for (const auth::ApiKeyRecord& key : keys)
    table.add_row({key.id, state_of(key, now_ms), key.tenant, fmt::format("{}", fmt::join(key.roles, ",")), key.name,
                   time_or(key.created_unix_ms, "-"),
                   time_or(key.revoked_unix_ms != 0 ? key.revoked_unix_ms : key.expires_unix_ms, "never"), key.replaced_by});
  const bool terminal = ::isatty(STDOUT_FILENO) == 1;
  fmt::print("{}", table.text(terminal ? report::Terminal::of(STDOUT_FILENO).width : 1000, false));
  return {};
}

Result<void> revoke(const KeysOptions& options, const KeyPlaces& places, std::int64_t now_ms) {
  FLEXPERT_ASSIGN(const auto store, store::KeyStore::open_existing(places.store));
  FLEXPERT_ASSIGN(const auth::ApiKeyRecord key, store->revoke(options.id, now_ms));
  if (options.json) fmt::print("{}\n", json::serialize(json_of(key, now_ms)));
  else fmt::print("{} is revoked since {}\n", key.id, config::format_timestamp(key.revoked_unix_ms));
  return {};
}

Result<void> rotate(const KeysOptions& options, const KeyPlaces& places, std::int64_t now_ms) {
  FLEXPERT_ASSIGN(const auto store, store::KeyStore::open_existing(places.store));
  FLEXPERT_ASSIGN(const auto keys, store->all());
  const auto old = std::find_if(keys.begin(), keys.end(), [&](const auth::ApiKeyRecord& key) { return key.id == options.id; });
  if (old == keys.end())
    return fail(ErrorCode::kNotFound, "there is no key {}; `flexpert keys list` shows those that are", options.id.substr(0, 64));
  auth::ApiKeyRecord record{
      .id = {}, .digest = {}, .name = old->name, .tenant = old->tenant, .roles = old->roles, .created_unix_ms = now_ms, .replaced_by = {}};
  if (options.expires_ms) record.expires_unix_ms = now_ms + *options.expires_ms;
  else if (old->expires_unix_ms != 0) record.expires_unix_ms = now_ms + (old->expires_unix_ms - old->created_unix_ms);
  FLEXPERT_ASSIGN(const NewKey made, make_key(places.pepper, true, std::move(record)));
  FLEXPERT_TRY(store->replace(old->id, made.record, now_ms + options.grace_ms, now_ms));
  const std::int64_t ends =
      old->expires_unix_ms == 0 ? now_ms + options.grace_ms : std::min(now_ms + options.grace_ms, old->expires_unix_ms);
  show_new(made, options, now_ms, fmt::format("\n{} ends at {}", old->id, config::format_timestamp(ends)));
  return {};
}

int run_keys(const KeysOptions& options) {
  if (options.verb == Verb::kNone)
    return fail_with("keys", "a verb is missing; there are create, list, revoke, rotate (see flexpert keys --help)", kExitUsage);
  if (options.config.empty() && options.store.empty() && options.record.empty())
    return fail_with("keys", "name the configuration with -c, or the key store with --store", kExitUsage);
  if (!options.record.empty() && options.config.empty() && options.pepper.empty())
    return fail_with("keys",
                     "--record needs the pepper under which the gateway knows keys: name it with --pepper, or the configuration with -c",
                     kExitUsage);
  const std::int64_t now_ms = SystemClock().unix_ms();
  const auto done = [&]() -> Result<void> {
    FLEXPERT_ASSIGN(const KeyPlaces places, find_key_places(options.config, options.store, options.pepper));
    if (places.store.empty() && options.record.empty())
      return fail(ErrorCode::kInvalidArgument, "{} has no access.keys_file; add it, or name the file with --store", options.config);
    if (places.pepper.empty())
      return fail(ErrorCode::kInvalidArgument, "{} has no access.pepper_file; add it, or name the file with --pepper", options.config);
    switch (options.verb) {
      case Verb::kCreate: return create(options, places, now_ms);
      case Verb::kList: return list(options, places, now_ms);
      case Verb::kRevoke: return revoke(options, places, now_ms);
      default: return rotate(options, places, now_ms);
    }
  }();
  return done ? kExitOk : fail_with("keys", done.error());
}

Argument span(std::string name, std::string default_text, std::string help, std::function<void(std::int64_t)> store) {
  return {std::move(name),
          "SPAN",
          std::move(help),
          false,
          false,
          std::move(default_text),
          [store = std::move(store)](const std::string& given) {
            const auto ms = config::parse_span_ms(given);
            if (!ms) return fmt::format("{} is given; allowed: a whole number with s, m, h or d, as in 90d", given);
            store(*ms);
            return std::string();
          }};
}

Arguments places_of(KeysOptions& o) {
  return {
      argument::text("-c,--config", o.config, "configuration whose access.keys_file and access.pepper_file count", "FILE"),
      argument::text("--store", o.store, "key store instead of the configuration's", "FILE"),
      argument::text("--pepper", o.pepper, "pepper file instead of the configuration's (default: the store's name and .pepper)", "FILE"),
      argument::flag("--json", o.json, "print JSON")};
}

DescribedVerb verb_of(KeysOptions& o, Verb verb, std::string name, std::string help, Arguments arguments, std::string examples) {
  for (Argument& one : places_of(o)) arguments.push_back(std::move(one));
  return {.name = std::move(name),
          .help = std::move(help),
          .examples = std::move(examples),
          .arguments = std::move(arguments),
          .chosen = [&o, verb] { o.verb = verb; }};
}

}  // namespace

DescribedCommand keys_command() {
  using namespace argument;
  const auto options = std::make_shared<KeysOptions>();
  KeysOptions& o = *options;
  DescribedCommand command{.name = "keys",
                           .help = "Make, list, revoke and rotate the gateway's API keys",
                           .examples = {},
                           .arguments = {},
                           .verbs = {},
                           .run = {}};
  const auto expires = [&o](std::string without) {
    return span("--expires", "", "the key ends after so long, as in 90d (default: " + without + ")",
                [&o](std::int64_t ms) { o.expires_ms = ms; });
  };
  command.verbs.push_back(
      verb_of(o, Verb::kCreate, "create", "Make a key; its text is printed once, alone on stdout, and kept nowhere",
              {required(text("--tenant", o.tenant, "whose limits count")),
               required(texts("--role", o.roles, "of the policy, or `everything`; may be repeated", "ROLE")),
               text("--name", o.name, "what people call it"), expires("never"),
               text("--record", o.record, "append the record to a YAML file, for access.keys_yaml, instead of the store", "FILE")},
              "Examples:\n  flexpert keys create -c gateway.yaml --tenant acme --role user --name ci --expires 90d\n"
              "  KEY=$(flexpert keys create --store keys.db --tenant acme --role everything)\n"
              "  flexpert keys create --record keys.yaml --pepper pepper --tenant acme --role user --json"));
  command.verbs.push_back(
      verb_of(o, Verb::kList, "list", "List all keys, without their text", {}, "Example:\n  flexpert keys list -c gateway.yaml"));
  command.verbs.push_back(verb_of(o, Verb::kRevoke, "revoke", "End a key at once; gateways that run follow within about a second",
                                  {required(text("id", o.id, "of the key, as list shows it", "ID"))},
                                  "Example:\n  flexpert keys revoke key_Wz3bqk2GZ0Ys1x9A -c gateway.yaml"));
  command.verbs.push_back(verb_of(o, Verb::kRotate, "rotate",
                                  "Make a successor with the same tenant, roles and name; the old key ends after the grace",
                                  {required(text("id", o.id, "of the key, as list shows it", "ID")),
                                   span("--grace", "24h", "how long the old key stays good", [&o](std::int64_t ms) { o.grace_ms = ms; }),
                                   expires("as long a life as the old one's")},
                                  "Example:\n  flexpert keys rotate key_Wz3bqk2GZ0Ys1x9A --grace 2h -c gateway.yaml"));
  command.examples =
      "`flexpert keys VERB --help` explains a verb, with examples. See docs/reference/access.md.\n"
      "Example:\n  flexpert keys create -c gateway.yaml --tenant acme --role user";
  command.run = [options] { return run_keys(*options); };
  return command;
}

}  // namespace flexpert::app
