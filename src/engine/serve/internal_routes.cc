#include "engine/serve/internal_routes.h"

#include <utility>

#include <fmt/format.h>

#include "codec/fleet_json.h"
#include "codec/json_text.h"
#include "engine/serve/expert_calls.h"

namespace flexpert::engine {

InternalRoutes::InternalRoutes(net::EventLoop& loop, const ServedModel& model, std::uint32_t max_context)
    : loop_(loop), model_(model), max_context_(max_context) {
  const ModelConfig& config = model.engine.config();
  while (first_moe_layer_ + 1 < config.num_layers && !config.is_moe_layer(first_moe_layer_)) ++first_moe_layer_;
  const ExpertGeometry geometry = config.expert_geometry();
  table_ = std::make_shared<const RoutingTable>(RoutingTable{.epoch = 0, .geometry = geometry, .endpoints = {}, .replicas = std::vector<std::vector<std::uint16_t>>(geometry.size())});
}

void InternalRoutes::status(Reply reply) const {
  const EngineStats stats = model_.engine.stats();
  std::string out = "{\"model\":";
  codec::append_json_string(out, model_.name);
  out += fmt::format(
      ",\"fingerprint\":\"{}\",\"epoch\":{},\"running\":{},\"queued\":{},\"kv_blocks_used\":{},\"kv_blocks_total\":{},\"paced\":{},\"max_context\":{}}}",
      model_.fingerprint, table_->epoch, stats.running, stats.queued, stats.kv_blocks_used, stats.kv_blocks_total, model_.paced, max_context_);
  reply.respond_json(200, std::move(out));
}

void InternalRoutes::expert_loads(Reply reply) const {
  const ModelConfig& config = model_.engine.config();
  codec::ExpertLoadReport report{.model = model_.name,
                                 .unix_ms = model_.clock.unix_ms(),
                                 .steps = model_.engine.stats().steps,
                                 .tokens = 0,
                                 .geometry = config.expert_geometry(),
                                 .rows = model_.engine.expert_loads()};
  // Every token goes through the same number of experts of a layer.
  const std::size_t first = report.geometry.index({first_moe_layer_, 0});
  for (std::size_t i = first; i < first + report.geometry.experts && i < report.rows.size(); ++i) report.tokens += report.rows[i];
  if (config.experts_per_token > 0) report.tokens /= config.experts_per_token;
  reply.respond_json(200, codec::encode(report));
}

void InternalRoutes::routing_table(Reply reply) const { reply.respond_json(200, codec::encode(*table_)); }

std::uint64_t InternalRoutes::park(Reply reply) {
  const std::uint64_t key = ++last_key_;
  waiting_.try_emplace(key, std::move(reply));
  return key;
}

void InternalRoutes::answer(std::uint64_t key, std::move_only_function<void(Reply)> with) {
  const auto found = waiting_.find(key);
  if (found == waiting_.end()) return;
  Reply reply = std::move(found->second);
  waiting_.erase(found);
  with(std::move(reply));
}

void InternalRoutes::set_routing_table(std::string_view body, Reply reply) {
  auto decoded = codec::decode_routing_table(body);
  if (!decoded) return reply.fail({.status = 400, .message = decoded.error().message, .code = "invalid_routing_table"});
  auto table = std::make_shared<const RoutingTable>(std::move(*decoded));
  if (auto ok = validate(*table); !ok) return reply.fail({.status = 400, .message = ok.error().message, .code = "invalid_routing_table"});
  const ExpertGeometry geometry = model_.engine.config().expert_geometry();
  if (table->geometry != geometry)
    return reply.fail({.status = 400,
                       .message = fmt::format("The routing table is of another model: it has {} layers of {} experts, the model {} of {}",
                                              table->geometry.layers, table->geometry.experts, geometry.layers, geometry.experts),
                       .code = "invalid_routing_table"});

  const std::uint64_t key = park(std::move(reply));
  model_.engine.between_steps([this, weak = weak_from_this(), &loop = loop_, set = model_.experts.set_routing_table, key, table] {
    auto result = set(table);
    loop.post([this, weak, key, table, result = std::move(result)] {
      const auto self = weak.lock();
      if (!self) return;
      if (result && table->epoch >= table_->epoch) table_ = table;
      answer(key, [&](Reply waiting) {
        if (result) return waiting.respond_json(200, fmt::format("{{\"epoch\":{}}}", table->epoch));
        codec::ApiError error = to_api_error(result.error());
        error.code = error.status == 409 ? "older_epoch" : "invalid_routing_table";
        waiting.fail(error);
      });
    });
  });
}

void InternalRoutes::run_experts(std::string_view body, Reply reply) {
  auto parsed = parse_expert_calls(body, model_.engine.config().expert_geometry());
  if (!parsed) return reply.fail(parsed.error());
  auto row = model_.engine.embedding(parsed->token);
  if (!row) return reply.fail({.status = 400, .message = row.error().message, .param = "token_id"});

  const TimePoint deadline = model_.clock.now() + parsed->timeout;
  const std::uint64_t key = park(std::move(reply));
  model_.engine.between_steps([this, weak = weak_from_this(), &loop = loop_, &clock = model_.clock, experts = model_.experts, key, deadline,
                               request = std::move(*parsed), row = std::move(*row)]() mutable {
    auto result = run_expert_calls(request, row, experts, deadline, clock);
    loop.post([this, weak, key, request = std::move(request), result = std::move(result)] {
      const auto self = weak.lock();
      if (!self) return;
      answer(key, [&](Reply waiting) {
        if (result) waiting.respond_json(200, encode_expert_answer(request, *result));
        else waiting.fail(result.error());
      });
    });
  });
}

}  // namespace flexpert::engine
