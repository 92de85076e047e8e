#include "codec/pool_snapshot_json.h"

#include "codec/exact_json.h"

namespace flexpert::codec {
namespace {

using exact_json::append_field;
using exact_json::append_key;
using exact_json::append_list;
using exact_json::Reader;

constexpr InstanceState kStates[] = {InstanceState::kStarting, InstanceState::kWarm,    InstanceState::kReady,
                                     InstanceState::kDraining, InstanceState::kStopped, InstanceState::kFailed};

struct TrafficField {
  const char* name;
  std::optional<MetricSample> PoolTraffic::*field;
};
constexpr TrafficField kTraffic[] = {
    {"requests_per_s", &PoolTraffic::requests_per_s}, {"isl", &PoolTraffic::isl},           {"osl", &PoolTraffic::osl},
    {"ttft_s", &PoolTraffic::ttft_s},                 {"itl_s", &PoolTraffic::itl_s},       {"duration_s", &PoolTraffic::duration_s},
    {"in_flight", &PoolTraffic::in_flight},           {"queued", &PoolTraffic::queued},
};

void append_sample(std::string& out, std::string_view name, const MetricSample& sample) {
  append_key(out, name);
  out += '{';
  append_field(out, "value", sample.value);
  append_field(out, "age_s", sample.age_s);
  out += '}';
}

MetricSample read_sample(Reader reader) { return {reader.number("value"), reader.number("age_s")}; }

void append_metrics(std::string& out, const MetricMap& metrics) {
  append_key(out, "metrics");
  out += '{';
  for (const auto& [name, sample] : metrics) append_sample(out, name, sample);
  out += '}';
}

MetricMap read_metrics(Reader& reader) {
  MetricMap out;
  if (reader.has("metrics")) reader.each_object("metrics", [&](std::string name, Reader sample) { out[std::move(name)] = read_sample(sample); });
  return out;
}

void append_instance(std::string& out, const PoolInstance& instance) {
  out += '{';
  append_field(out, "id", std::string_view(instance.id.value));
  append_field(out, "state", std::string_view(name_of(instance.state)));
  append_field(out, "since_unix_ms", instance.since_unix_ms);
  append_field(out, "in_flight", instance.in_flight);
  append_field(out, "queued", instance.queued);
  append_field(out, "remaining_tokens", instance.remaining_tokens);
  append_metrics(out, instance.metrics);
  out += '}';
}

PoolInstance read_instance(Reader reader) {
  PoolInstance out;
  out.id.value = reader.text("id");
  out.state = exact_json::named(reader, "state", kStates);
  out.since_unix_ms = reader.integer<std::int64_t>("since_unix_ms");
  if (reader.has("in_flight")) out.in_flight = reader.integer<std::uint32_t>("in_flight");
  if (reader.has("queued")) out.queued = reader.integer<std::uint32_t>("queued");
  if (reader.has("remaining_tokens")) out.remaining_tokens = reader.number("remaining_tokens");
  out.metrics = read_metrics(reader);
  return out;
}

void append_limits(std::string& out, const PoolLimits& limits) {
  append_key(out, "limits");
  out += '{';
  append_field(out, "min", limits.min);
  append_field(out, "max", limits.max);
  if (limits.manual) append_field(out, "manual", *limits.manual);
  out += '}';
}

void append_pool(std::string& out, const PoolObservation& pool) {
  out += '{';
  append_field(out, "pool", std::string_view(pool.pool.value));
  append_limits(out, pool.limits);
  append_list(out, "instances", pool.instances, append_instance);
  append_key(out, "traffic");
  out += '{';
  for (const TrafficField& field : kTraffic)
    if (const auto& sample = pool.traffic.*field.field) append_sample(out, field.name, *sample);
  out += '}';
  append_metrics(out, pool.metrics);
  if (pool.startup_s) append_field(out, "startup_s", *pool.startup_s);
  out += '}';
}

PoolObservation read_pool(Reader reader) {
  PoolObservation out;
  out.pool.value = reader.text("pool");
  reader.object("limits", [&](Reader limits) {
    out.limits = {limits.integer<std::uint32_t>("min"), limits.integer<std::uint32_t>("max"), limits.optional_integer<std::uint32_t>("manual")};
  });
  out.instances = reader.list<PoolInstance>("instances", read_instance);
  if (reader.has("traffic"))
    reader.each_object("traffic", [&](const std::string& name, Reader sample) {
      for (const TrafficField& field : kTraffic)
        if (name == field.name) {
          out.traffic.*field.field = read_sample(sample);
          return;
        }
      reader.reject("traffic." + name, "unknown");
    });
  out.metrics = read_metrics(reader);
  out.startup_s = reader.optional_number("startup_s");
  return out;
}

}  // namespace

std::string encode(const PoolsSnapshot& snapshot) {
  std::string out = "{";
  append_field(out, "cycle", snapshot.cycle);
  append_field(out, "unix_ms", snapshot.unix_ms);
  if (snapshot.gpu_budget) append_field(out, "gpu_budget", *snapshot.gpu_budget);
  append_list(out, "pools", snapshot.pools, append_pool);
  return out + "}";
}

Result<PoolsSnapshot> decode_pools_snapshot(std::string_view json) {
  return exact_json::decode<PoolsSnapshot>(json, "snapshot of pools", [](Reader reader) {
    PoolsSnapshot out;
    out.cycle = reader.integer<std::uint64_t>("cycle");
    out.unix_ms = reader.integer<std::int64_t>("unix_ms");
    out.gpu_budget = reader.optional_integer<std::uint32_t>("gpu_budget");
    out.pools = reader.list<PoolObservation>("pools", read_pool);
    return out;
  });
}

}  // namespace flexpert::codec
