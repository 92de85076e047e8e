#include "codec/scale_plan_json.h"

#include "codec/exact_json.h"

namespace flexpert::codec {
namespace {

using exact_json::append_field;
using exact_json::append_list;
using exact_json::append_reason;
using exact_json::read_reason;
using exact_json::Reader;

constexpr PoolActionKind kKinds[] = {PoolActionKind::kStart, PoolActionKind::kActivate, PoolActionKind::kDrain, PoolActionKind::kCancel,
                                     PoolActionKind::kResize};

void append_action(std::string& out, const PoolAction& action) {
  out += '{';
  append_field(out, "kind", std::string_view(name_of(action.kind)));
  append_field(out, "instance", std::string_view(action.instance.value));
  append_field(out, "count", action.count);
  append_field(out, "warm", action.warm);
  if (action.threads) append_field(out, "threads", *action.threads);
  if (action.kv_blocks) append_field(out, "kv_blocks", *action.kv_blocks);
  append_list(out, "reasons", action.reasons, append_reason);
  out += '}';
}

PoolAction read_action(Reader reader) {
  PoolAction out;
  out.kind = exact_json::named(reader, "kind", kKinds);
  out.instance.value = reader.text("instance");
  out.count = reader.integer<std::uint32_t>("count");
  out.warm = reader.boolean("warm");
  out.threads = reader.optional_integer<std::uint32_t>("threads");
  out.kv_blocks = reader.optional_integer<std::uint32_t>("kv_blocks");
  out.reasons = reader.list<Reason>("reasons", read_reason);
  return out;
}

void append_pool(std::string& out, const PoolPlan& pool) {
  out += '{';
  append_field(out, "pool", std::string_view(pool.pool.value));
  append_field(out, "current", pool.current);
  append_field(out, "ready", pool.ready);
  append_field(out, "wanted", pool.wanted);
  append_field(out, "granted", pool.granted);
  append_field(out, "target", pool.target);
  append_field(out, "warm", pool.warm);
  append_list(out, "actions", pool.actions, append_action);
  append_list(out, "reasons", pool.reasons, append_reason);
  append_list(out, "conditions", pool.conditions, append_reason);
  out += '}';
}

PoolPlan read_pool(Reader reader) {
  PoolPlan out;
  out.pool.value = reader.text("pool");
  out.current = reader.integer<std::uint32_t>("current");
  out.ready = reader.integer<std::uint32_t>("ready");
  out.wanted = reader.integer<std::uint32_t>("wanted");
  out.granted = reader.integer<std::uint32_t>("granted");
  out.target = reader.integer<std::uint32_t>("target");
  out.warm = reader.integer<std::uint32_t>("warm");
  out.actions = reader.list<PoolAction>("actions", read_action);
  out.reasons = reader.list<Reason>("reasons", read_reason);
  out.conditions = reader.list<Reason>("conditions", read_reason);
  return out;
}

}  // namespace

std::string encode(const Reason& reason) {
  std::string out;
  append_reason(out, reason);
  return out;
}

std::string encode(const PoolPlan& plan) {
  std::string out;
  append_pool(out, plan);
  return out;
}

std::string encode(const ScalePlan& plan) {
  std::string out = "{";
  append_field(out, "cycle", plan.cycle);
  append_field(out, "unix_ms", plan.unix_ms);
  append_field(out, "gpus_held", plan.gpus_held);
  append_field(out, "gpus_after", plan.gpus_after);
  append_list(out, "pools", plan.pools, append_pool);
  append_list(out, "conditions", plan.conditions, append_reason);
  return out + "}";
}

Result<ScalePlan> decode_scale_plan(std::string_view json) {
  return exact_json::decode<ScalePlan>(json, "plan", [](Reader reader) {
    ScalePlan out;
    out.cycle = reader.integer<std::uint64_t>("cycle");
    out.unix_ms = reader.integer<std::int64_t>("unix_ms");
    out.gpus_held = reader.integer<std::uint32_t>("gpus_held");
    out.gpus_after = reader.integer<std::uint32_t>("gpus_after");
    out.pools = reader.list<PoolPlan>("pools", read_pool);
    out.conditions = reader.list<Reason>("conditions", read_reason);
    return out;
  });
}

}  // namespace flexpert::codec
