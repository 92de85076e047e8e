#include "engine/serve/internal_routes.h"

#include <utility>

#include <fmt/format.h>

#include "codec/engine_resources_json.h"
#include "codec/fleet_json.h"
#include "codec/json_text.h"

namespace flexpert::engine {
namespace {

constexpr std::size_t kMostRuns = 64;

std::string resources_json(const EngineStats& stats) {
  return codec::encode(codec::EngineResourcesReport{.threads = stats.threads, .kv_blocks = stats.kv_blocks_total, .max_kv_blocks = stats.kv_blocks_most});
}

}  // namespace

InternalRoutes::InternalRoutes(net::EventLoop& loop, const ServedModel& model, std::uint32_t max_context)
    : loop_(loop), model_(model), max_context_(max_context) {
  const ModelConfig& config = model.engine.config();
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
                                 .tokens = model_.engine.stats().routed_tokens,
                                 .geometry = config.expert_geometry(),
                                 .rows = model_.engine.expert_loads(),
                                 .in_process_rows = model_.experts.in_process_rows ? model_.experts.in_process_rows() : std::vector<std::uint64_t>()};
  reply.respond_json(200, codec::encode(report));
}

void InternalRoutes::routing_table(Reply reply) const { reply.respond_json(200, codec::encode(*table_)); }

void InternalRoutes::adopt(std::shared_ptr<const RoutingTable> table) {
  table_ = std::move(table);
  model_.experts.rows.keep_only(table_->endpoints);
}

void InternalRoutes::set_routing_table(std::string_view body, Reply reply) {
  if (model_.experts.own_placement)
    return reply.fail({.status = 409,
                       .message = "This server places its experts itself (--expert-servers); it takes no routing tables.",
                       .code = "own_placement"});
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

  const std::uint64_t key = waiting_.park(std::move(reply));
  model_.engine.between_steps([this, weak = weak_from_this(), &loop = loop_, set = model_.experts.set_routing_table, key, table] {
    auto result = set(table);
    loop.post([this, weak, key, table, result = std::move(result)] {
      const auto self = weak.lock();
      if (!self) return;
      if (result && table->epoch >= table_->epoch) adopt(table);
      waiting_.answer(key, [&](Reply waiting) {
        if (result) return waiting.respond_json(200, fmt::format("{{\"epoch\":{}}}", table->epoch));
        codec::ApiError error = to_api_error(result.error());
        error.code = error.status == 409 ? "older_epoch" : "invalid_routing_table";
        waiting.fail(error);
      });
    });
  });
}

void InternalRoutes::run_experts(std::string_view body, const ExpertSet& forbidden, Reply reply) {
  auto parsed = parse_expert_calls(body, model_.engine.config().expert_geometry());
  if (!parsed) return reply.fail(parsed.error());
  for (std::size_t call = 0; call < parsed->calls.size(); ++call)
    for (const ExpertSlot slot : parsed->calls[call].slots)
      if (forbidden.contains(slot))
        return reply.fail({.status = 403,
                           .message = fmt::format("This caller may not use the expert {} of layer {}.", slot.expert, slot.layer),
                           .type = "permission_error",
                           .param = fmt::format("calls[{}].slots", call),
                           .code = "expert_forbidden"});
  auto row = model_.engine.embedding(parsed->token);
  if (!row) return reply.fail({.status = 400, .message = row.error().message, .param = "token_id"});

  if (runs_.size() >= kMostRuns)
    return reply.fail({.status = 503, .message = fmt::format("Too many calls of experts are under way: {}.", runs_.size()), .type = "server_error", .code = "too_many_calls"});
  auto run = std::make_unique<ExpertCallRun>(loop_, model_.experts.rows, model_.clock, std::move(*parsed), std::move(*row));
  const std::uint64_t key = waiting_.new_key();
  const auto started = run->start(*table_, [this, key](codec::ApiResult<ExpertCallAnswer> result) { end_run(key, std::move(result)); });
  if (!started) return reply.fail(started.error());
  // Posted, because the HTTP server may notice the loss while it does something for another request.
  reply.on_disconnect([this, weak = weak_from_this(), key] {
    if (weak.expired()) return;
    loop_.post([weak, key] {
      const auto self = weak.lock();
      if (self && self->runs_.erase(key) > 0) self->waiting_.drop(key);
    });
  });
  runs_.emplace(key, std::move(run));
  waiting_.park_as(key, std::move(reply));
}

void InternalRoutes::resources(Reply reply) const { reply.respond_json(200, resources_json(model_.engine.stats())); }

void InternalRoutes::set_resources(std::string_view body, Reply reply) {
  const auto wish = codec::decode_engine_resources_wish(body);
  if (!wish) return reply.fail({.status = 400, .message = wish.error().message, .code = "invalid_resources"});
  const EngineStats stats = model_.engine.stats();
  const EngineResources wanted{.threads = wish->threads.value_or(stats.threads), .kv_blocks = wish->kv_blocks.value_or(stats.kv_blocks_total)};
  const std::uint64_t key = waiting_.park(std::move(reply));
  model_.engine.resize(wanted, [weak = weak_from_this(), &loop = loop_, key](Result<EngineResources> result) {
    loop.post([weak, key, result = std::move(result)] {
      const auto self = weak.lock();
      if (!self) return;
      self->waiting_.answer(key, [&](Reply waiting) {
        if (result) return waiting.respond_json(200, resources_json(self->model_.engine.stats()));
        codec::ApiError error = to_api_error(result.error());
        error.code = result.error().code == ErrorCode::kFailedPrecondition ? "busy" : "invalid_resources";
        if (result.error().code == ErrorCode::kFailedPrecondition) error.status = 409;
        waiting.fail(error);
      });
    });
  });
}

void InternalRoutes::end_run(std::uint64_t key, codec::ApiResult<ExpertCallAnswer> result) {
  const auto node = runs_.extract(key);
  waiting_.answer(key, [&](Reply waiting) {
    if (result) waiting.respond_json(200, encode_expert_answer(node.mapped()->request(), *result));
    else waiting.fail(result.error());
  });
}

}  // namespace flexpert::engine
