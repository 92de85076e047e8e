#include "controller/sensors.h"

#include <memory>

#include <boost/json.hpp>

namespace flexpert::controller {
namespace {

namespace json = boost::json;

struct Round {
  std::vector<Reading> readings;
  std::size_t missing = 0;
  std::function<void(std::vector<Reading>)> done;
};

}  // namespace

Result<ModelServerStatus> decode_model_server_status(std::string_view text) {
  json::error_code error;
  const json::value value = json::parse(json::string_view(text.data(), text.size()), error);
  if (error || !value.is_object()) return fail(ErrorCode::kInvalidArgument, "status: must be a JSON object");
  const json::object& object = value.get_object();
  ModelServerStatus out;
  const auto count = [&](const char* field, auto& into) -> Result<void> {
    const json::value* found = object.if_contains(field);
    if (found == nullptr || !found->is_int64() || found->get_int64() < 0)
      return fail(ErrorCode::kInvalidArgument, "status: {}: must be a count", field);
    into = static_cast<std::remove_reference_t<decltype(into)>>(found->get_int64());
    return {};
  };
  FLEXPERT_TRY(count("epoch", out.epoch));
  FLEXPERT_TRY(count("running", out.running));
  FLEXPERT_TRY(count("queued", out.queued));
  if (const json::value* model = object.if_contains("model"); model != nullptr && model->is_string()) out.model = std::string(model->get_string());
  if (const json::value* paced = object.if_contains("paced"); paced != nullptr && paced->is_bool()) out.paced = paced->get_bool();
  return out;
}

bool Sensors::poll(const std::vector<Target>& targets, std::function<void(std::vector<Reading>)> done) {
  if (busy_) return false;
  auto round = std::make_shared<Round>();
  round->readings.resize(targets.size());
  round->missing = 2 * targets.size();
  round->done = std::move(done);
  if (targets.empty()) {
    round->done({});
    return true;
  }
  busy_ = true;
  const auto one_more = [this, round] {
    if (--round->missing > 0) return;
    busy_ = false;
    round->done(std::move(round->readings));
  };
  for (std::size_t i = 0; i < targets.size(); ++i) {
    round->readings[i].id = targets[i].id;
    caller_.call(targets[i].address, "GET", "/internal/status", "", [round, i, one_more](Result<std::string> body) {
      if (body) {
        round->readings[i].status = decode_model_server_status(*body);
      } else {
        round->readings[i].status = fail(body.error());
      }
      one_more();
    });
    caller_.call(targets[i].address, "GET", "/internal/expert-loads", "", [round, i, one_more](Result<std::string> body) {
      if (body) {
        round->readings[i].loads = codec::decode_expert_load_report(*body);
      } else {
        round->readings[i].loads = fail(body.error());
      }
      one_more();
    });
  }
  return true;
}

}  // namespace flexpert::controller
