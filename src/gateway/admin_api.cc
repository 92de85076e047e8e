#include "gateway/admin_api.h"

#include <array>
#include <optional>
#include <string>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "base/log.h"

namespace flexpert::gateway {
namespace {

namespace json = boost::json;

enum class AdminCall : std::uint8_t { kStatus, kUpstreams, kKeys, kReload, kClearCache, kDrainUpstream, kResumeUpstream };

struct AdminRoute {
  std::string_view path;    ///< "{id}" stands for one percent-decoded segment
  std::string_view method;
  AdminCall call;
  auth::AdminRight right;
  std::string_view action;  ///< in the audit log; empty: it changes nothing
};

constexpr std::array kAdminRoutes{
    AdminRoute{"/admin/v1/status", "GET", AdminCall::kStatus, auth::AdminRight::kView, ""},
    AdminRoute{"/admin/v1/upstreams", "GET", AdminCall::kUpstreams, auth::AdminRight::kView, ""},
    AdminRoute{"/admin/v1/keys", "GET", AdminCall::kKeys, auth::AdminRight::kKeys, ""},
    AdminRoute{"/admin/v1/reload", "POST", AdminCall::kReload, auth::AdminRight::kOperate, "gateway.reload"},
    AdminRoute{"/admin/v1/cache/clear", "POST", AdminCall::kClearCache, auth::AdminRight::kOperate, "cache.clear"},
    AdminRoute{"/admin/v1/upstreams/{id}/drain", "POST", AdminCall::kDrainUpstream, auth::AdminRight::kOperate, "upstream.drain"},
    AdminRoute{"/admin/v1/upstreams/{id}/resume", "POST", AdminCall::kResumeUpstream, auth::AdminRight::kOperate, "upstream.resume"},
};

/// Names of upstreams may hold what a path may not.
std::string percent_decoded(std::string_view text) {
  const auto digit = [](char c) { return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1; };
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 && digit(text[i + 2]) >= 0) {
      out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

/// Returns what stands at "{id}" if `path` matches ("" where the route has none).
std::optional<std::string> match(std::string_view route, std::string_view path) {
  const std::size_t hole = route.find("{id}");
  if (hole == std::string_view::npos) return path == route ? std::optional<std::string>("") : std::nullopt;
  const std::string_view behind = route.substr(hole + 4);
  if (path.size() <= hole + behind.size() || !path.starts_with(route.substr(0, hole)) || !path.ends_with(behind)) return std::nullopt;
  const std::string_view id = path.substr(hole, path.size() - hole - behind.size());
  return id.find('/') == std::string_view::npos ? std::optional(percent_decoded(id)) : std::nullopt;
}

std::string_view name_of(ServerSource source) {
  switch (source) {
    case ServerSource::kFleet: return "fleet";
    case ServerSource::kRegistered: return "registered";
    default: return "configured";
  }
}

json::array texts(const std::vector<std::string>& all) { return json::array(all.begin(), all.end()); }

http::Response ok(const json::value& value) { return http::json_response(200, json::serialize(value)); }

}  // namespace

void AdminApi::handle(const http::Request& request, const CallerPtr& caller, std::unique_ptr<Answer> answer) {
  answer->respond(carry_out(request, *caller));
}

http::Response AdminApi::carry_out(const http::Request& request, const Caller& caller) {
  std::string allowed;
  for (const AdminRoute& route : kAdminRoutes) {
    const std::optional<std::string> id = match(route.path, request.path());
    if (!id) continue;
    if (request.method != route.method && !(route.method == "GET" && request.method == "HEAD")) {
      allowed = route.method;
      continue;
    }
    if (!caller.grant->may(route.right)) {
      write_audit(request, caller, *id, "admin_forbidden");
      return http::openai_error(403, "This call needs a right that none of your roles has", "permission_error", {}, "admin_forbidden");
    }
    http::Response response;
    switch (route.call) {
      case AdminCall::kStatus: return status();
      case AdminCall::kUpstreams: return upstreams();
      case AdminCall::kKeys: return keys();
      case AdminCall::kReload:
        surface_.reload();
        response = http::json_response(202, R"({"reloading":true})");
        break;
      case AdminCall::kClearCache:
        surface_.models_changed();
        response = http::json_response(200, R"({"cleared":true})");
        break;
      case AdminCall::kDrainUpstream: response = hold_upstream(*id, true); break;
      case AdminCall::kResumeUpstream: response = hold_upstream(*id, false); break;
    }
    write_audit(request, caller, *id, response.status < 400 ? route.action : "not_found");
    return response;
  }
  if (allowed.empty()) return http::openai_error(404, "There is no such call; docs/reference/admin-api.md lists them", "invalid_request_error", {}, "unknown_url");
  http::Response response = http::openai_error(405, fmt::format("This call takes {} only", allowed), "invalid_request_error", {}, "method_not_allowed");
  response.headers.set("Allow", allowed);
  return response;
}

http::Response AdminApi::status() const {
  const AccessSnapshot& access = surface_.access.snapshot();
  const ServerCapacity capacity = surface_.directory.capacity(surface_.clock.now());
  json::object out;
  out["draining"] = surface_.draining();
  out["connections"] = surface_.connections();
  out["in_flight"] = surface_.admission.in_flight();
  out["queued"] = surface_.admission.queued();
  out["saturation"] = capacity.saturation;
  out["policy_revision"] = access.policy->rules().revision;
  out["api_keys"] = access.keys ? access.keys->records().size() : 0;
  out["anonymous"] = access.policy->rules().anonymous;
  out["models"] = texts(surface_.directory.models());
  out["upstreams"] = surface_.directory.servers().size();
  out["upstreams_ready"] = capacity.ready;
  out["registered"] = surface_.registered();
  return ok(out);
}

http::Response AdminApi::upstreams() const {
  json::array all;
  for (const auto& [id, server] : surface_.directory.servers()) {
    json::object one;
    one["id"] = id;
    one["address"] = server.address.to_string();
    one["source"] = name_of(server.source);
    one["models"] = texts(server.models);
    one["ready"] = server.ready;
    one["draining"] = server.draining || server.held;
    one["in_flight"] = server.endpoint->in_flight;
    one["in_flight_tokens"] = server.endpoint->in_flight_tokens;
    one["ejected"] = server.endpoint->ejected_until > surface_.clock.now();
    one["failures_in_a_row"] = server.endpoint->failures_in_a_row;
    one["masks_experts"] = server.own;
    all.push_back(std::move(one));
  }
  return ok(json::object{{"upstreams", std::move(all)}});
}

http::Response AdminApi::keys() const {
  json::array all;
  const std::int64_t now = surface_.clock.unix_ms();
  if (const auto& keys = surface_.access.snapshot().keys) {
    for (const auth::ApiKeyRecord& record : keys->records()) {
      json::object one;
      one["id"] = record.id;
      one["name"] = record.name;
      one["tenant"] = record.tenant;
      one["roles"] = texts(record.roles);
      one["created_unix_ms"] = record.created_unix_ms;
      one["expires_unix_ms"] = record.expires_unix_ms;
      one["revoked_unix_ms"] = record.revoked_unix_ms;
      one["active"] = record.revoked_unix_ms == 0 && (record.expires_unix_ms == 0 || record.expires_unix_ms > now);
      all.push_back(std::move(one));
    }
  }
  return ok(json::object{{"keys", std::move(all)}});
}

http::Response AdminApi::hold_upstream(std::string_view id, bool held) {
  if (!surface_.directory.hold(id, held))
    return http::openai_error(404, "There is no upstream of this id; GET /admin/v1/upstreams lists them", "invalid_request_error", {}, "upstream_not_found");
  return ok(json::object{{"id", id}, {"draining", held}});
}

void AdminApi::write_audit(const http::Request& request, const Caller& caller, std::string_view object, std::string_view reason) const {
  const std::string action = request.method + " " + std::string(request.path());
  surface_.audit.write({.unix_ms = surface_.clock.unix_ms(),
                        .event = "admin",
                        .tenant = caller.identity.tenant,
                        .principal = caller.identity.id,
                        .peer = request.peer,
                        .action = action,
                        .object = object,
                        .reason = reason,
                        .policy_revision = caller.policy_revision});
}

}  // namespace flexpert::gateway
