#include "controller/capacity_probe.h"

#include <algorithm>

#include <boost/json.hpp>

#include "codec/internal_grant.h"

namespace flexpert::controller {
namespace {

namespace json = boost::json;

constexpr std::size_t kMostCalls = 48;

/// Returns the latency that the answer states for its one call.
Result<double> latency_ms_of(const std::string& body) {
  json::error_code error;
  const json::value value = json::parse(body, error);
  const auto wrong = [] { return fail(ErrorCode::kInvalidArgument, "answer without calls[0].latency_ms"); };
  if (error || !value.is_object()) return wrong();
  const json::value* calls = value.get_object().if_contains("calls");
  if (calls == nullptr || !calls->is_array() || calls->get_array().empty() || !calls->get_array()[0].is_object()) return wrong();
  const json::value* latency = calls->get_array()[0].get_object().if_contains("latency_ms");
  if (latency == nullptr || !latency->is_number()) return wrong();
  return latency->to_number<double>();
}

}  // namespace

bool CapacityProbe::measure(const net::Address& model_server, const RoutingTable& table, Sign sign, Done done) {
  if (done_) return false;
  model_server_ = model_server;
  calls_.clear();
  rows_per_s_.clear();
  last_error_ = "no replicas to measure";
  at_ = 0;
  const std::size_t pairs = std::max<std::size_t>(1, table.endpoints.size() * table.geometry.layers);
  const std::size_t stride = std::max<std::size_t>(1, pairs / kMostCalls);
  const std::size_t rounds = std::clamp<std::size_t>(kMostCalls / pairs, 1, 4);
  for (std::size_t round = 0; round < rounds; ++round) {
    for (std::size_t pair = 0; pair < pairs; pair += stride) {
      const auto layer = static_cast<std::uint32_t>(pair % table.geometry.layers);
      const std::size_t endpoint = pair / table.geometry.layers;
      if (endpoint >= table.endpoints.size()) break;
      json::array slots;
      for (std::uint32_t expert = 0; expert < table.geometry.experts; ++expert) {
        const auto& list = table.replicas[table.geometry.index({layer, expert})];
        if (std::find(list.begin(), list.end(), endpoint) != list.end()) slots.emplace_back(json::array{layer, expert});
      }
      if (slots.empty()) continue;
      const std::size_t rows = slots.size();
      const json::value body = {{"token_id", 1 + calls_.size() % 64},
                                {"timeout_ms", 5000},
                                {"calls", json::array{json::object{{"name", "capacity"},
                                                                   {"instance", table.endpoints[endpoint].id.value},
                                                                   {"weight", 1.0},
                                                                   {"slots", std::move(slots)}}}}};
      calls_.push_back({json::serialize(body), rows});
    }
  }
  sign_ = std::move(sign);
  done_ = std::move(done);
  next();
  return true;
}

void CapacityProbe::next() {
  if (at_ == calls_.size()) return finish();
  const Call& call = calls_[at_++];
  http::Headers headers;
  if (std::string grant = sign_(call.body); !grant.empty()) headers.set(std::string(codec::kInternalGrantField), std::move(grant));
  caller_.call(model_server_, "POST", "/internal/experts", call.body, std::move(headers),
               [this, rows = call.rows](Result<std::string> body) {
                 const Result<double> latency_ms = body ? latency_ms_of(*body) : Result<double>(fail(body.error()));
                 if (!latency_ms) {
                   last_error_ = latency_ms.error().message;
                 } else if (*latency_ms > 0) {
                   rows_per_s_.push_back(static_cast<double>(rows) / *latency_ms * 1000);
                 }
                 next();
               });
}

void CapacityProbe::finish() {
  Done done = std::exchange(done_, Done{});
  if (rows_per_s_.empty()) return done(fail(ErrorCode::kUnavailable, "capacity could not be measured: {}", last_error_));
  const auto middle = rows_per_s_.begin() + static_cast<std::ptrdiff_t>(rows_per_s_.size() / 2);
  std::nth_element(rows_per_s_.begin(), middle, rows_per_s_.end());
  done(*middle);
}

}  // namespace flexpert::controller
