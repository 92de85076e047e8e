#include "gateway/request_scan.h"

#include <vector>

#include <simdjson.h>

namespace flexpert::gateway {
namespace {

namespace dom = simdjson::dom;

Result<dom::object> parse_object(dom::parser& parser, std::string_view body) {
  dom::element root;
  // With a body of no bytes simdjson says "Empty"; the copy into a padded buffer is its own.
  if (const auto error = parser.parse(body.data(), body.size()).get(root); error != simdjson::SUCCESS)
    return fail(ErrorCode::kInvalidArgument, "the body is not valid JSON: {}", simdjson::error_message(error));
  dom::object object;
  if (root.get(object) != simdjson::SUCCESS) return fail(ErrorCode::kInvalidArgument, "the body must be a JSON object");
  return object;
}

}  // namespace

struct RequestScanner::Impl {
  dom::parser parser;
};

RequestScanner::RequestScanner() : impl_(std::make_unique<Impl>()) {}
RequestScanner::~RequestScanner() = default;

std::expected<ScannedRequest, RefusedRequest> RequestScanner::scan(std::string_view body) {
  const auto refuse = [](std::string message, std::string_view param, std::string_view code = {}) {
    return std::unexpected(RefusedRequest{std::move(message), param, code});
  };
  auto object = parse_object(impl_->parser, body);
  if (!object) return refuse(std::move(object.error().message), {}, "invalid_json");
  ScannedRequest scanned;
  bool has_model = false;
  bool has_stream = false;
  for (const dom::key_value_pair field : *object) {
    if (field.key == "model") {
      std::string_view model;
      if (has_model) return refuse("model: given twice", "model");
      if (field.value.get(model) != simdjson::SUCCESS || model.empty()) return refuse("model: must be a non-empty string", "model", "invalid_type");
      scanned.model = model;
      has_model = true;
    } else if (field.key == "stream") {
      if (has_stream) return refuse("stream: given twice", "stream");
      has_stream = true;
      if (field.value.is_null()) continue;
      if (field.value.get(scanned.stream) != simdjson::SUCCESS) return refuse("stream: must be true or false", "stream", "invalid_type");
    } else if (field.key == "max_tokens" || field.key == "max_completion_tokens") {
      // For estimates only: whether it may be so is the server's to say.
      if (std::uint64_t most = 0; field.value.get(most) == simdjson::SUCCESS) scanned.max_tokens = most;
    }
  }
  if (!has_model) return refuse("model: missing; name one of GET /v1/models", "model");
  return scanned;
}

Result<std::vector<std::string>> parse_model_list(std::string_view body) {
  dom::parser parser;
  FLEXPERT_ASSIGN(const dom::object object, parse_object(parser, body));
  dom::array data;
  if (object["data"].get(data) != simdjson::SUCCESS) return fail(ErrorCode::kInvalidArgument, "data: must be a list");
  std::vector<std::string> ids;
  for (const dom::element entry : data) {
    std::string_view id;
    if (entry["id"].get(id) != simdjson::SUCCESS || id.empty())
      return fail(ErrorCode::kInvalidArgument, "data[{}].id: must be a non-empty string", ids.size());
    ids.emplace_back(id);
  }
  return ids;
}

}  // namespace flexpert::gateway
