#include "live_fleet.h"

#include <csignal>
#include <fstream>

#include <fmt/format.h>

#include "codec/fleet_json.h"
#include "codec/json_text.h"
#include "expert_fleet.h"

namespace flexpert::bench {
namespace {

namespace json = boost::json;

std::string word_after(const std::string& line, const std::string& label) {
  const std::size_t at = line.find(label);
  if (at == std::string::npos) return {};
  const std::size_t begin = at + label.size();
  return line.substr(begin, line.find(' ', begin) - begin);
}

Result<http::Response> send(const net::Address& address, const std::string& method, const std::string& target) {
  http::Request request;
  request.method = method;
  request.target = target;
  return http::fetch(address, std::move(request), Seconds(20));
}

}  // namespace

Result<std::unique_ptr<LiveFleet>> LiveFleet::start(net::EventLoop& loop, const std::string& program, const std::string& folder,
                                                    const std::string& config) {
  std::unique_ptr<LiveFleet> fleet(new LiveFleet(loop));
  const std::string path = folder + "fleet.yaml";
  std::ofstream(path) << config;
  net::ChildProcessOptions child;
  child.argv = {program, "up", "-c", path};
  child.extra_environment = {"XDG_RUNTIME_DIR=" + folder};
  child.on_line = [self = fleet.get()](std::string_view line) { self->lines_.emplace_back(line); };
  FLEXPERT_ASSIGN(fleet->process_, net::ChildProcess::spawn(loop, std::move(child), [self = fleet.get()](net::ExitStatus) { self->ended_ = true; }));
  std::string ready;
  FLEXPERT_TRY(run_until(
      loop,
      [&] {
        for (const std::string& line : fleet->lines_)
          if (line.starts_with("ready: ")) ready = line;
        return !ready.empty() || fleet->ended_;
      },
      Seconds(60), "the fleet to be ready"));
  if (ready.empty()) return fail(ErrorCode::kUnavailable, "the fleet ended: {}", fleet->lines_.empty() ? "" : fleet->lines_.back());
  FLEXPERT_ASSIGN(fleet->gateway_, net::Address::parse(word_after(ready, "ready: http://")));
  FLEXPERT_ASSIGN(fleet->controller_, net::Address::parse(word_after(ready, "controller http://")));
  FLEXPERT_ASSIGN(fleet->model_server_, net::Address::parse("unix:" + word_after(ready, "runtime ") + "/serve-0.sock"));
  return fleet;
}

Result<void> LiveFleet::stop() {
  process_->signal(SIGTERM);
  return run_until(loop_, [this] { return ended_; }, Seconds(60), "the fleet to stop");
}

Result<json::value> LiveFleet::ask(const std::string& method, const std::string& target) const {
  FLEXPERT_ASSIGN(const http::Response response, send(controller_, method, target));
  json::error_code error;
  json::value value = json::parse(response.body, error);
  if (error || (response.status != 200 && response.status != 409))
    return fail(ErrorCode::kUnavailable, "{} {}: {}: {}", method, target, response.status, response.body);
  return value;
}

Result<std::string> LiveFleet::metrics() const {
  FLEXPERT_ASSIGN(http::Response response, send(controller_, "GET", "/metrics"));
  return std::move(response.body);
}

Result<RoutingTable> LiveFleet::table_in_force() const {
  FLEXPERT_ASSIGN(const http::Response response, send(model_server_, "GET", "/internal/routing-table"));
  return codec::decode_routing_table(response.body);
}

Result<std::map<InstanceId, std::map<ExpertSlot, std::uint64_t>>> LiveFleet::rows(const RoutingTable& table, controller::ServerRows& asker) {
  std::map<InstanceId, std::map<ExpertSlot, std::uint64_t>> out;
  std::vector<controller::ServerRows::Target> targets;
  for (const ExpertEndpoint& endpoint : table.endpoints) {
    FLEXPERT_ASSIGN(net::Address address, net::Address::parse(endpoint.address));
    targets.push_back({endpoint.id, std::move(address)});
  }
  asker.poll(targets, [&out](const InstanceId& id, const std::vector<expert_protocol::SlotRows>& rows) {
    auto& of_server = out[id];
    for (const expert_protocol::SlotRows& one : rows) of_server[one.slot] = one.rows;
  });
  FLEXPERT_TRY(run_until(loop_, [&] { return out.size() == targets.size(); }, Seconds(5), "expert servers to tell their rows"));
  return out;
}

ChatLoad::ChatLoad(net::EventLoop& loop, net::Address gateway, std::size_t in_flight)
    : loop_(loop), gateway_(std::move(gateway)), in_flight_(in_flight), client_(loop, {}) {}

void ChatLoad::use(const std::vector<Chat>& chats, std::vector<std::size_t> numbers, bool once) {
  chats_ = &chats;
  numbers_ = std::move(numbers);
  next_ = 0;
  once_ = once;
  send_some();
}

void ChatLoad::send_some() {
  while (streams_.size() < in_flight_ && next_ < numbers_.size()) {
    const std::size_t number = numbers_[next_++];
    if (next_ == numbers_.size() && !once_) next_ = 0;
    const Chat& chat = (*chats_)[number];
    const std::uint64_t key = ++last_key_;
    streams_[key].number = number;
    http::Request request;
    request.method = "POST";
    request.target = "/v1/chat/completions";
    request.headers.add("Content-Type", "application/json");
    request.body = R"({"model":"flexpert-tiny-moe","stream":true,"messages":[{"role":"user","content":)";
    codec::append_json_string(request.body, chat.prompt);
    request.body += fmt::format(R"(}}],"temperature":{},"seed":{},"max_tokens":{},"ignore_eos":true}})", chat.temperature, chat.seed, chat.max_tokens);
    http::AnswerCallbacks callbacks;
    callbacks.on_head = [this, key](int status, const http::Headers&) { streams_[key].status = status; };
    callbacks.on_body = [this, key](std::string_view bytes) { streams_[key].answer.feed(bytes, [](std::string_view) {}); };
    callbacks.on_end = [this, key] { over(key, ""); };
    callbacks.on_error = [this, key](const Error& error) { over(key, error.message); };
    client_.send(gateway_, std::move(request), std::move(callbacks));
  }
}

void ChatLoad::over(std::uint64_t key, const std::string& error) {
  const auto node = streams_.extract(key);
  const Stream& stream = node.mapped();
  ++ended_;
  const std::string problem = !error.empty() ? error : stream.status != 200 ? fmt::format("HTTP {}", stream.status) : stream.answer.problem();
  if (problem.empty()) {
    answers_.emplace_back(stream.number, stream.answer.text());
  } else {
    problems_.push_back(problem);
  }
  send_some();
}

}  // namespace flexpert::bench
