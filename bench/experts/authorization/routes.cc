// Every subset of six groups of experts by eight principals, against rules written separately.
#include <algorithm>

#include <boost/json.hpp>

#include "authorization/answer_to.h"
#include "authorization/fleet.h"
#include "authorization/gateway_setup.h"
#include "authorization/sections.h"
#include "http/client.h"

namespace flexpert::bench {
namespace {

namespace json = boost::json;

/// What was found, over all calls.
struct Findings {
  std::uint64_t calls = 0;
  std::uint64_t leaks = 0;         ///< rows of experts that the caller must not use
  std::uint64_t wrong_status = 0;
  std::uint64_t wrong_rows = 0;    ///< calls that computed anything but what they should
  std::uint64_t wrong_answer = 0;  ///< another group named, another header
  std::uint64_t computed = 0;      ///< rows in all

  void say(const std::string& what, std::string_view answer) const {
    if (wrong_status + wrong_rows + wrong_answer + leaks <= 20) std::printf("%s: %.*s\n", what.c_str(),
        static_cast<int>(std::min<std::size_t>(answer.size(), 200)), answer.data());
  }
};

std::vector<std::string> subset(unsigned bits) {
  std::vector<std::string> names;
  const auto all = rules::groups();
  for (std::size_t i = 0; i < all.size(); ++i)
    if ((bits >> i & 1) != 0) names.push_back(all[i].name);
  return names;
}

const rules::Group& group_named(const std::vector<rules::Group>& groups, const std::string& name) {
  return *std::find_if(groups.begin(), groups.end(), [&](const rules::Group& group) { return group.name == name; });
}

/// The rows that running each of `names` once takes.
std::vector<std::uint64_t> rows_of(const std::vector<rules::Group>& groups, const std::vector<std::string>& names,
    ExpertGeometry geometry) {
  std::vector<std::uint64_t> rows(geometry.size());
  for (const std::string& name : names)
    for (const auto& [layer, expert] : group_named(groups, name).slots) ++rows[geometry.index({layer, expert})];
  return rows;
}

class Routes {
 public:
  Routes(net::EventLoop& loop, AuthorizationFleet& fleet) : loop_(loop), fleet_(fleet), client_(loop, {}), groups_(rules::groups()) {}

  /// One call of /route, and what it computed.
  Result<void> through_gateway(const GatewaySetup& gateway, const rules::Principal& who, unsigned bits, bool all, Findings& found) {
    const std::vector<std::string> asked = subset(bits);
    const rules::Verdict verdict = rules::route(who, groups_, asked);
    http::Request request;
    request.method = "POST";
    request.target = "/route";
    request.headers.add("Content-Type", "application/json");
    gateway.identify(request, who);
    request.body = json::serialize(json::object{{"token_id", 100 + bits}, {"expert_names", json::array(asked.begin(), asked.end())},
        {"mode", all ? "all" : "any"}});
    const std::vector<std::uint64_t> before = fleet_.asked();
    FLEXPERT_ASSIGN(const http::Response answer, answer_to(loop_, client_, gateway.address(), std::move(request)));
    const std::vector<std::uint64_t> ran = since(before);
    ++found.calls;
    const std::string what = fmt::format("{} asks for {} ({})", who.name, fmt::join(asked, ","), all ? "all" : "any");
    judge_rows(who, ran, what, found);
    if (answer.status != verdict.status) {
      ++found.wrong_status;
      found.say(fmt::format("{}: {} instead of {}", what, answer.status, verdict.status), answer.body);
    }
    std::vector<std::string> due = verdict.status == 200 ? verdict.goes_ahead : std::vector<std::string>();
    if (verdict.status == 200 && answer.status == 200) {
      boost::system::error_code error;
      const json::value body = json::parse(answer.body, error);
      const std::string named = error || !body.is_object() ? "" : std::string(body.at("expert").as_string());
      if (!all && std::find(due.begin(), due.end(), named) != due.end()) due = {named};
      const std::string left_out = fmt::format("{}", fmt::join(verdict.left_out, ","));
      if (named != fmt::format("{}", fmt::join(due, ",")) || answer.headers.find("X-Expert-Downgraded").value_or("") != left_out) {
        ++found.wrong_answer;
        found.say(what, answer.body);
      }
    }
    if (ran != rows_of(groups_, due, fleet_.geometry())) {
      ++found.wrong_rows;
      found.say(what + ": other rows than due", answer.body);
    }
    return {};
  }

  /// The same groups asked of the model server itself, with a grant that names what is closed to the caller.
  Result<void> at_the_server(const rules::Principal& who, unsigned bits, Findings& found) {
    const std::vector<std::string> asked = subset(bits);
    const std::set<rules::Slot> closed = rules::forbidden(who, groups_);
    json::array calls;
    bool refused = false;
    for (const std::string& name : asked) {
      json::array slots;
      for (const auto& [layer, expert] : group_named(groups_, name).slots) {
        slots.push_back(json::array{layer, expert});
        refused = refused || closed.count({layer, expert}) != 0;
      }
      calls.push_back(json::object{{"name", name}, {"instance", fmt::format("expert-{}", bits % AuthorizationFleet::kServers)}, {"slots",
          slots}});
    }
    http::Request request;
    request.method = "POST";
    request.target = "/internal/experts";
    request.body = json::serialize(json::object{{"token_id", 100 + bits}, {"calls", calls}});
    request.headers.add("X-Flexpert-Grant", fleet_.grant(closed, request.body));
    const std::vector<std::uint64_t> before = fleet_.asked();
    FLEXPERT_ASSIGN(const http::Response answer, answer_to(loop_, client_, fleet_.address(), std::move(request)));
    const std::vector<std::uint64_t> ran = since(before);
    ++found.calls;
    const std::string what = fmt::format("{} has the server run {}", who.name, fmt::join(asked, ","));
    judge_rows(who, ran, what, found);
    const int due = refused ? 403 : 200;
    if (answer.status != due) {
      ++found.wrong_status;
      found.say(fmt::format("{}: {} instead of {}", what, answer.status, due), answer.body);
    }
    if (ran != rows_of(groups_, refused ? std::vector<std::string>() : asked, fleet_.geometry())) ++found.wrong_rows;
    return {};
  }

 private:
  std::vector<std::uint64_t> since(const std::vector<std::uint64_t>& before) const {
    std::vector<std::uint64_t> rows = fleet_.asked();
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i] -= before[i];
    return rows;
  }
  void judge_rows(const rules::Principal& who, const std::vector<std::uint64_t>& ran, const std::string& what, Findings& found) const {
    const std::set<rules::Slot> closed = rules::forbidden(who, groups_);
    std::uint64_t leaked = 0;
    for (std::size_t i = 0; i < ran.size(); ++i) {
      found.computed += ran[i];
      const ExpertSlot slot = fleet_.geometry().slot(i);
      if (closed.count({slot.layer, slot.expert}) != 0) leaked += ran[i];
    }
    found.leaks += leaked;
    if (leaked > 0) found.say(what + ": LEAK", "");
  }

  net::EventLoop& loop_;
  AuthorizationFleet& fleet_;
  http::Client client_;
  std::vector<rules::Group> groups_;
};

void hold(Figures& figures, const std::string& name, std::uint64_t value, const std::string& unit) {
  figures.hold(name, static_cast<double>(value), unit, "0", value == 0);
}

/// Generation through the gateway: what a caller's rights close is neither chosen nor computed.
Result<void> generate(net::EventLoop& loop, const GatewaySetup& gateway, AuthorizationFleet& fleet, Figures& figures) {
  http::Client client(loop, {});
  std::uint64_t leaked = 0, refused = 0, answered = 0, served_strangers = 0, open_rows = 0;
  for (const rules::Principal& who : rules::principals()) {
    if (who.name == "token") continue;  // opens groups on /route only
    const std::set<rules::Slot> closed = rules::forbidden(who, rules::groups());
    FLEXPERT_ASSIGN(const Counted before, fleet.counted());
    for (int i = 0; i < 12; ++i) {
      http::Request request;
      request.method = "POST";
      request.target = i % 2 == 0 ? "/v1/completions" : "/v1/chat/completions";
      request.headers.add("Content-Type", "application/json");
      gateway.identify(request, who);
      json::object body{{"model", fleet.model_name()}, {"max_tokens", 48}, {"temperature", 0.8}, {"seed", i}, {"stream", i % 3 == 0}};
      if (i % 2 == 0) body["prompt"] = fmt::format("def f{}(x): # forbidden: []", i);
      else body["messages"] = json::array{json::object{{"role", "user"}, {"content", fmt::format("Tell me about number {}.", i)}}};
      request.body = json::serialize(body);
      FLEXPERT_ASSIGN(const http::Response answer, answer_to(loop, client, gateway.address(), std::move(request)));
      if (answer.status == 200) ++answered;
      if (answer.status == 200 && !who.may_use_model) ++served_strangers;
      if (answer.status != 200 && who.may_use_model) {
        ++refused;
        std::printf("%s: %d %s\n", who.name.c_str(), answer.status, answer.body.substr(0, 200).c_str());
      }
    }
    FLEXPERT_ASSIGN(const Counted after, fleet.counted());
    const Counted delta = after - before;
    for (const auto& [layer, expert] : closed) {
      const std::size_t at = fleet.geometry().index({layer, expert});
      leaked += delta.asked[at] + delta.in_process[at] + delta.chosen[at];
    }
    if (who.name == "chief")
      for (const rules::Group& group : rules::groups())
        for (const auto& [layer, expert] : group.slots) open_rows += group.high ? delta.chosen[fleet.geometry().index({layer, expert})] : 0;
  }
  figures.hold("gateway.generations", static_cast<double>(answered), "answered", ">=70", answered >= 70);
  hold(figures, "gateway.generations_refused", refused, "requests");
  hold(figures, "gateway.generations_for_strangers", served_strangers, "requests");
  hold(figures, "gateway.generations_leaked", leaked, "rows");
  figures.hold("gateway.generations_of_high_groups", static_cast<double>(open_rows), "rows", ">0", open_rows > 0);
  return {};
}

}  // namespace

Result<void> measure_routes(const std::string& program, const std::string& model, Figures& figures) {
  net::EventLoop loop;
  FLEXPERT_ASSIGN(const auto fleet, AuthorizationFleet::start(loop, program, model, true));
  FLEXPERT_ASSIGN(const auto gateway, GatewaySetup::start(loop, program, model, *fleet));
  Routes routes(loop, *fleet);
  Findings edge;
  Findings server;
  for (const rules::Principal& who : rules::principals()) {
    for (unsigned bits = 0; bits < 64; ++bits) {
      for (const bool all : {false, true}) FLEXPERT_TRY(routes.through_gateway(*gateway, who, bits, all, edge));
      if (bits != 0) FLEXPERT_TRY(routes.at_the_server(who, bits, server));
    }
  }
  for (const auto& [where, found] : {std::pair("routes", &edge), std::pair("server", &server)}) {
    const std::string name = where;
    figures.note(name + ".calls", static_cast<double>(found->calls), "calls");
    hold(figures, name + ".leaks", found->leaks, "rows");
    hold(figures, name + ".wrong_status", found->wrong_status, "calls");
    hold(figures, name + ".wrong_rows", found->wrong_rows, "calls");
    figures.hold(name + ".computed", static_cast<double>(found->computed), "rows", ">0", found->computed > 0);
  }
  hold(figures, "routes.wrong_answers", edge.wrong_answer, "calls");
  // Nobody was killed: what the servers say that they computed is what went over the wire.
  FLEXPERT_ASSIGN(const auto told, fleet->computed_by_servers());
  std::uint64_t odd = 0;
  for (std::size_t i = 0; i < told.size(); ++i)
    if (told[i] != fleet->asked()[i]) ++odd;
  hold(figures, "servers_account.other_than_the_wire", odd, "slots");
  return generate(loop, *gateway, *fleet, figures);
}

}  // namespace flexpert::bench
