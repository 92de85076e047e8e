#include "engine/serve/expert_calls.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "codec/json_text.h"
#include "crypto/digest.h"

namespace flexpert::engine {
namespace {

namespace json = boost::json;
using codec::ApiError;

constexpr std::size_t kMostCalls = 64;
constexpr std::int64_t kLongestTimeoutMs = 60000;

template <class... Args>
std::unexpected<ApiError> refuse(std::string param, fmt::format_string<Args...> format, Args&&... args) {
  return std::unexpected(ApiError{.message = fmt::format(format, std::forward<Args>(args)...), .param = std::move(param)});
}

codec::ApiResult<std::int64_t> read_integer(const json::value* value, const std::string& param, std::int64_t least, std::int64_t most) {
  if (value == nullptr) return refuse(param, "Missing required field: {}", param);
  const bool is_integer = value->is_int64() || (value->is_uint64() && value->get_uint64() <= static_cast<std::uint64_t>(most));
  if (!is_integer) return refuse(param, "Field must be an integer from {} to {}: {}", least, most, param);
  const auto number = value->to_number<std::int64_t>();
  if (number < least || number > most) return refuse(param, "Field must be an integer from {} to {}: {} is {}", least, most, param, number);
  return number;
}

codec::ApiResult<std::string> read_name(const json::object& object, std::string_view field, const std::string& param) {
  const json::value* value = object.if_contains({field.data(), field.size()});
  if (value == nullptr || !value->is_string() || value->get_string().empty())
    return refuse(fmt::format("{}.{}", param, field), "Field must be a string that is not empty: {}.{}", param, field);
  return std::string(value->get_string());
}

codec::ApiResult<ExpertSlot> read_slot(const json::value& value, const std::string& param, ExpertGeometry geometry) {
  const json::array* pair = value.if_array();
  if (pair == nullptr || pair->size() != 2) return refuse(param, "Field must be a pair [layer, expert]: {}", param);
  const auto layer = read_integer(&(*pair)[0], param + "[0]", 0, static_cast<std::int64_t>(geometry.layers) - 1);
  if (!layer) return std::unexpected(layer.error());
  const auto expert = read_integer(&(*pair)[1], param + "[1]", 0, static_cast<std::int64_t>(geometry.experts) - 1);
  if (!expert) return std::unexpected(expert.error());
  return ExpertSlot{static_cast<std::uint32_t>(*layer), static_cast<std::uint32_t>(*expert)};
}

codec::ApiResult<ExpertCall> read_call(const json::value& value, const std::string& param, ExpertGeometry geometry) {
  const json::object* object = value.if_object();
  if (object == nullptr) return refuse(param, "Field must be an object with name, instance, weight and slots: {}", param);
  ExpertCall call;
  auto name = read_name(*object, "name", param);
  if (!name) return std::unexpected(name.error());
  call.name = std::move(*name);
  auto instance = read_name(*object, "instance", param);
  if (!instance) return std::unexpected(instance.error());
  call.instance.value = std::move(*instance);
  if (const json::value* weight = object->if_contains("weight")) {
    if (!weight->is_number()) return refuse(param + ".weight", "Field must be a number: {}.weight", param);
    call.weight = static_cast<float>(weight->to_number<double>());
    if (!std::isfinite(call.weight)) return refuse(param + ".weight", "Field is out of range: {}.weight", param);
  }
  const json::value* slots = object->if_contains("slots");
  const json::array* list = slots == nullptr ? nullptr : slots->if_array();
  if (list == nullptr || list->empty() || list->size() > geometry.size())
    return refuse(param + ".slots", "Field must be an array of 1 to {} pairs [layer, expert]: {}.slots", geometry.size(), param);
  for (const json::value& item : *list) {
    const auto slot = read_slot(item, fmt::format("{}.slots[{}]", param, call.slots.size()), geometry);
    if (!slot) return std::unexpected(slot.error());
    call.slots.push_back(*slot);
  }
  return call;
}

ApiError call_error(const ExpertCall& call, const Error& error) {
  int status = 502;
  if (error.code == ErrorCode::kNotFound) status = 404;
  if (error.code == ErrorCode::kDeadlineExceeded) status = 504;
  return {.status = status,
          .message = fmt::format("Call of experts {} on {} failed: {}", call.name, call.instance, error.message),
          .type = status == 404 ? "invalid_request_error" : "server_error",
          .code = "call " + call.name};
}

}  // namespace

codec::ApiResult<ExpertCallRequest> parse_expert_calls(std::string_view body, ExpertGeometry geometry) {
  boost::system::error_code error;
  const json::value value = json::parse({body.data(), body.size()}, error);
  if (error) return refuse("", "Invalid JSON in the request body: {}", error.message());
  const json::object* object = value.if_object();
  if (object == nullptr) return refuse("", "The request body must be an object with token_id, timeout_ms and calls");

  ExpertCallRequest request;
  const auto token = read_integer(object->if_contains("token_id"), "token_id", 0, std::numeric_limits<TokenId>::max());
  if (!token) return std::unexpected(token.error());
  request.token = static_cast<TokenId>(*token);
  if (const json::value* timeout = object->if_contains("timeout_ms")) {
    const auto milliseconds = read_integer(timeout, "timeout_ms", 1, kLongestTimeoutMs);
    if (!milliseconds) return std::unexpected(milliseconds.error());
    request.timeout = Milliseconds(*milliseconds);
  }
  const json::value* calls = object->if_contains("calls");
  const json::array* list = calls == nullptr ? nullptr : calls->if_array();
  if (list == nullptr || list->empty() || list->size() > kMostCalls) return refuse("calls", "Field must be an array of 1 to {} calls: calls", kMostCalls);
  for (const json::value& item : *list) {
    auto call = read_call(item, fmt::format("calls[{}]", request.calls.size()), geometry);
    if (!call) return std::unexpected(call.error());
    request.calls.push_back(std::move(*call));
  }
  return request;
}

ExpertCallRun::ExpertCallRun(net::EventLoop& loop, InstanceRows& rows, const Clock& clock, ExpertCallRequest request, std::vector<float> row)
    : loop_(loop), rows_(rows), clock_(clock), request_(std::move(request)), row_(std::move(row)) {}

ExpertCallRun::~ExpertCallRun() { cancel_all(); }

codec::ApiResult<void> ExpertCallRun::start(const RoutingTable& table, Done done) {
  for (const ExpertCall& call : request_.calls) {
    const auto found = std::ranges::find(table.endpoints, call.instance, &ExpertEndpoint::id);
    if (found == table.endpoints.end())
      return std::unexpected(call_error(call, {ErrorCode::kNotFound, fmt::format("no such expert instance in the routing table: {}", call.instance)}));
    const auto index = static_cast<std::uint16_t>(found - table.endpoints.begin());
    for (const ExpertSlot slot : call.slots) {
      const auto& replicas = table.replicas[table.geometry.index(slot)];
      if (std::ranges::find(replicas, index) != replicas.end()) continue;
      return std::unexpected(call_error(
          call, {ErrorCode::kNotFound, fmt::format("instance {} has no replica of layer {} expert {}", call.instance, slot.layer, slot.expert)}));
    }
    progress_.push_back({.instance = *found, .sum = std::vector<float>(row_.size(), 0.0F)});
  }
  done_ = std::move(done);
  started_ = clock_.now();
  timer_ = loop_.call_after(request_.timeout, [this] { expire(); });
  for (std::size_t call = 0; call < progress_.size(); ++call) ask(call);
  return {};
}

void ExpertCallRun::ask(std::size_t call) {
  Progress& progress = progress_[call];
  progress.pending = rows_.run(progress.instance, request_.calls[call].slots[progress.slots_done], row_,
                               [this, call](Result<std::vector<float>> output) { on_output(call, std::move(output)); });
}

void ExpertCallRun::on_output(std::size_t call, Result<std::vector<float>> output) {
  Progress& progress = progress_[call];
  const ExpertCall& asked = request_.calls[call];
  progress.pending = 0;
  if (!output) return end(std::unexpected(call_error(asked, output.error())));
  if (output->size() != progress.sum.size())
    return end(std::unexpected(
        call_error(asked, {ErrorCode::kDataLoss, fmt::format("an answer of {} floats instead of {}", output->size(), progress.sum.size())})));
  for (std::size_t i = 0; i < progress.sum.size(); ++i) progress.sum[i] += (*output)[i];
  if (++progress.slots_done < asked.slots.size()) return ask(call);
  progress.latency_ms = to_ms(clock_.now() - started_);
  if (std::ranges::all_of(progress_, [](const Progress& one) { return one.pending == 0; })) end(combine());
}

ExpertCallAnswer ExpertCallRun::combine() const {
  ExpertCallAnswer answer;
  answer.output.assign(row_.size(), 0.0F);
  for (std::size_t call = 0; call < progress_.size(); ++call) {
    const ExpertCall& asked = request_.calls[call];
    const auto count = static_cast<float>(asked.slots.size());
    for (std::size_t i = 0; i < row_.size(); ++i) answer.output[i] += asked.weight * (progress_[call].sum[i] / count);
    answer.latency_ms.push_back(progress_[call].latency_ms);
  }
  return answer;
}

void ExpertCallRun::expire() {
  timer_ = 0;
  const auto late = std::ranges::find_if(progress_, [](const Progress& one) { return one.pending != 0; });
  const ExpertCall& asked = request_.calls[static_cast<std::size_t>(late - progress_.begin())];
  end(std::unexpected(call_error(asked, {ErrorCode::kDeadlineExceeded, fmt::format("no answer within {} ms", to_ms(request_.timeout))})));
}

void ExpertCallRun::end(codec::ApiResult<ExpertCallAnswer> result) {
  cancel_all();
  Done done = std::move(done_);
  done(std::move(result));
}

void ExpertCallRun::cancel_all() {
  loop_.cancel(std::exchange(timer_, 0));
  for (Progress& progress : progress_)
    if (progress.pending != 0) rows_.cancel(std::exchange(progress.pending, 0));
}

std::string encode_expert_answer(const ExpertCallRequest& request, const ExpertCallAnswer& answer) {
  std::string out = fmt::format("{{\"input_token_id\":{},\"calls\":[", request.token);
  for (std::size_t i = 0; i < request.calls.size(); ++i) {
    out += i == 0 ? "{\"name\":" : ",{\"name\":";
    codec::append_json_string(out, request.calls[i].name);
    out += ",\"instance\":";
    codec::append_json_string(out, request.calls[i].instance.value);
    out += ",\"latency_ms\":";
    codec::append_json_number(out, answer.latency_ms[i]);
    out += '}';
  }
  out += fmt::format("],\"output_digest\":\"{}\"}}", crypto::sha256_hex(std::as_bytes(std::span(answer.output))));
  return out;
}

}  // namespace flexpert::engine
