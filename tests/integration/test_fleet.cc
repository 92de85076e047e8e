#include "integration/test_fleet.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <boost/json.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "codec/json_text.h"

namespace flexpert::integration {

namespace json = boost::json;

namespace {

net::Address address_after(const std::string& line, const std::string& label) {
  const std::size_t start = line.find(label);
  if (start == std::string::npos) return {};
  const std::size_t begin = start + label.size();
  const auto address = net::Address::parse(line.substr(begin, line.find(' ', begin) - begin));
  return address ? *address : net::Address{};
}

}  // namespace

TemporaryFolder::TemporaryFolder() {
  char path[] = "/tmp/flexpert-test-XXXXXX";
  if (mkdtemp(path) == nullptr) ADD_FAILURE() << "cannot make a folder in /tmp";
  path_ = path;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}

std::string TemporaryFolder::write(const std::string& name, const std::string& text) const {
  const std::string path = path_ + "/" + name;
  std::ofstream(path) << text;
  return path;
}

TestFleet::TestFleet(const FleetSettings& settings) {
  config_path_ = folder_.write("fleet.yaml", fmt::format(R"(gateway:
  listen: 127.0.0.1:0
  metrics_listen: 127.0.0.1:0
controller:
  listen: 127.0.0.1:0
model:
  path: {}/models/flexpert-tiny-moe
  expert_servers:
    min: {}
    max: {}
    warm: 1
    pace_rows_per_s: {}
  scaling:
    replica_capacity_rows_per_s: {}
    cooldown_s: 1
  placement: {}
  groups:
    - name: A
      slots: [[4, 12], [5, 10], [5, 7]]
    - name: B
      slots: [[0, 6], [1, 2], [2, 11]]
    - name: C
      security: {}
      slots: [[2, 8], [4, 7], [5, 17]]
access:
  anonymous: true
  tokens:
    - name: premium
      sha256: 576af19f505964347ebc4baeadabb2f3a5bd072cb5f29b7df26317471cc7ee46
      groups: [C]
)",
                                                         FLEXPERT_SOURCE_DIR, settings.min_servers, settings.max_servers, settings.pace_rows_per_s,
                                                         settings.replica_capacity_rows_per_s, settings.placement, settings.level_of_c));
  std::vector<std::string> arguments{"up", "-c", config_path_};
  arguments.insert(arguments.end(), settings.more_arguments.begin(), settings.more_arguments.end());
  program_ = std::make_unique<RunningProgram>(loop_, arguments, environment());
  const std::string line = program_->wait_for_line("ready: ", Seconds(60));
  gateway_ = address_after(line, "ready: http://");
  probes_ = address_after(line, "metrics http://");
  controller_ = address_after(line, "controller http://");
  ready_ = gateway_.port != 0 && probes_.port != 0 && controller_.port != 0;
  if (!ready_) ADD_FAILURE() << "the fleet did not become ready:\n" << program_->output();
}

http::Response TestFleet::get(const net::Address& address, const std::string& target) const { return ask(address, "GET", target); }

http::Response TestFleet::ask(const net::Address& address, const std::string& method, const std::string& target) const {
  http::Request request;
  request.method = method;
  request.target = target;
  auto response = http::fetch(address, std::move(request), Seconds(30));
  if (!response) return {.status = 0, .headers = {}, .body = response.error().message};
  return std::move(*response);
}

http::Response TestFleet::post(const std::string& target, const std::string& body, const std::string& access_token) const {
  http::Request request;
  request.method = "POST";
  request.target = target;
  request.headers.add("Content-Type", "application/json");
  if (!access_token.empty()) request.headers.add("X-Expert-Access-Token", access_token);
  request.body = body;
  auto response = http::fetch(gateway_, std::move(request), Seconds(60));
  if (!response) return {.status = 0, .headers = {}, .body = response.error().message};
  return std::move(*response);
}

FleetSnapshot TestFleet::snapshot() const {
  const http::Response response = get(controller_, "/api/v1/status");
  auto snapshot = codec::decode_fleet_snapshot(response.body);
  if (!snapshot) {
    ADD_FAILURE() << snapshot.error().message << "\n" << response.body;
    return {};
  }
  return std::move(*snapshot);
}

std::vector<Decision> TestFleet::decisions() const {
  const http::Response response = get(controller_, "/api/v1/decisions?limit=100");
  std::vector<Decision> decisions;
  boost::system::error_code error;
  const json::value root = json::parse(response.body, error);
  const json::value* list = error ? nullptr : root.find_pointer("/decisions", error);
  if (list == nullptr || !list->is_array()) {
    ADD_FAILURE() << "no list of decisions: " << response.body;
    return decisions;
  }
  for (const json::value& value : list->get_array()) {
    auto decision = codec::decode_decision(json::serialize(value));
    if (decision)
      decisions.push_back(std::move(*decision));
    else
      ADD_FAILURE() << decision.error().message;
  }
  return decisions;
}

std::vector<int> TestFleet::instance_pids() const {
  std::vector<int> pids;
  for (const InstanceStatus& instance : snapshot().instances)
    if (instance.pid > 0) pids.push_back(static_cast<int>(instance.pid));
  return pids;
}

int TestFleet::an_expert_server_pid() const {
  for (const InstanceStatus& instance : snapshot().instances)
    if (instance.role == InstanceRole::kExpertServer && instance.state == InstanceState::kReady && instance.slots > 0) return static_cast<int>(instance.pid);
  return 0;
}

StreamedChat::StreamedChat(net::EventLoop& loop, const net::Address& gateway, const std::string& body) : loop_(loop), client_(loop, {}) {
  http::Request request;
  request.method = "POST";
  request.target = "/v1/chat/completions";
  request.headers.add("Content-Type", "application/json");
  request.body = body;
  client_.send(gateway, std::move(request),
               {.on_head = [this](int status, const http::Headers&) { status_ = status; },
                .on_body = [this](std::string_view bytes) { stream_.feed(bytes, [this](std::string_view) { ++pieces_; }); },
                .on_end = [this] { ended_ = true; },
                .on_error =
                    [this](const Error& error) {
                      error_ = error.message;
                      ended_ = true;
                    }});
}

bool StreamedChat::wait_for_pieces(std::size_t count, Duration deadline) {
  run_until(loop_, deadline, [&] { return pieces_ >= count || ended_; });
  return pieces_ >= count;
}

bool StreamedChat::wait_for_end(Duration deadline) {
  return run_until(loop_, deadline, [&] { return ended_; });
}

std::string StreamedChat::problem() const {
  if (!error_.empty()) return error_;
  if (status_ != 200) return fmt::format("HTTP {}", status_);
  return stream_.problem();
}

std::string chat_body(const std::string& prompt, std::uint32_t max_tokens, bool stream, bool ignore_eos) {
  std::string body = R"({"model":"flexpert-tiny-moe","temperature":0,"messages":[{"role":"user","content":)";
  codec::append_json_string(body, prompt);
  return body + fmt::format(R"(}}],"max_tokens":{},"stream":{},"ignore_eos":{}}})", max_tokens, stream, ignore_eos);
}

std::string content_of(const http::Response& response) {
  boost::system::error_code error;
  const json::value root = json::parse(response.body, error);
  const json::value* content = error ? nullptr : root.find_pointer("/choices/0/message/content", error);
  return content != nullptr && content->is_string() ? std::string(content->get_string().c_str()) : response.body;
}

std::string read_file(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

}  // namespace flexpert::integration
