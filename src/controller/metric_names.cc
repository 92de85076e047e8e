#include "controller/metric_names.h"

#include <algorithm>
#include <array>


namespace flexpert::controller {
namespace {

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == ':';
}

bool is_mean(std::string_view our_name) {
  return our_name == metric::kIsl || our_name == metric::kOsl || our_name == metric::kTtft || our_name == metric::kItl ||
         our_name == metric::kDuration;
}

MetricAcross across_of(std::string_view our_name) {
  if (is_mean(our_name)) return MetricAcross::kRatio;
  const bool share = our_name == metric::kKv || our_name == metric::kGpu || our_name == metric::kCpu || our_name == metric::kUtilisation;
  return share ? MetricAcross::kMean : MetricAcross::kSum;
}

/// Reads rules; see parse_metric_rule().
class RuleReader {
 public:
  RuleReader(std::string_view our_name, std::string_view text) : our_name_(our_name), text_(text) {}

  Result<MetricRule> read() {
    MetricRule rule;
    rule.across = across_of(our_name_);
    while (true) {
      FLEXPERT_ASSIGN(MetricFormula formula, read_formula());
      if (!rule.formulas.empty() && rule.formulas[0].kind != formula.kind)
        return fail(ErrorCode::kInvalidArgument, "alternatives must all be levels, or all rates: \"{}\"", text_.substr(0, 200));
      rule.formulas.push_back(std::move(formula));
      skip();
      if (at_ == text_.size()) return rule;
      if (!take("or ")) return wrong("'/' or 'or'");
    }
  }

 private:
  [[nodiscard]] std::unexpected<Error> wrong(std::string_view wanted) const {
    return fail(ErrorCode::kInvalidArgument, "{} is wanted at \"{}\" of \"{}\"; for example: a_total, rate(a_total), a_sum / a_count, a or b", wanted,
                text_.substr(at_, 40), text_.substr(0, 200));
  }
  void skip() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n')) ++at_;
  }
  bool take(std::string_view token) {
    skip();
    if (!text_.substr(at_).starts_with(token)) return false;
    at_ += token.size();
    return true;
  }

  Result<MetricFormula> read_formula() {
    MetricFormula formula;
    if (take("rate(")) {
      formula.kind = MetricFormula::Kind::kRate;
      FLEXPERT_ASSIGN(formula.a, read_series());
      if (!take(")")) return wrong("')'");
      return formula;
    }
    FLEXPERT_ASSIGN(formula.a, read_series());
    if (take("/")) {
      FLEXPERT_ASSIGN(formula.b, read_series());
      formula.kind = is_mean(our_name_) ? MetricFormula::Kind::kMean : MetricFormula::Kind::kGauge;
      return formula;
    }
    if (is_mean(our_name_)) {
      formula.kind = MetricFormula::Kind::kMean;
      formula.b = formula.a;
      formula.a.name += "_sum";
      formula.b->name += "_count";
    } else if (our_name_ == metric::kRequests) {
      formula.kind = MetricFormula::Kind::kRate;
    }
    return formula;
  }

  Result<SeriesSelector> read_series() {
    skip();
    SeriesSelector out;
    while (at_ < text_.size() && is_name_char(text_[at_])) out.name += text_[at_++];
    if (out.name.empty() || (out.name[0] >= '0' && out.name[0] <= '9')) return wrong("the name of a metric");
    if (!take("{")) return out;
    while (!take("}")) {
      skip();
      std::string label;
      while (at_ < text_.size() && is_name_char(text_[at_]) && text_[at_] != ':') label += text_[at_++];
      if (label.empty()) return wrong("the name of a label");
      if (!take("=\"")) return wrong("=\"VALUE\"");
      const std::size_t end = text_.find('"', at_);
      const std::string_view value = text_.substr(at_, std::min(end, text_.size()) - at_);
      if (end == std::string_view::npos || value.find_first_of("\\\n") != std::string_view::npos) return wrong("a value in quotes, without backslashes,");
      out.labels.emplace_back(std::move(label), std::string(value));
      at_ = end + 1;
      if (!take(",") && !text_.substr(at_).starts_with("}")) return wrong("',' or '}'");
    }
    return out;
  }

  std::string_view our_name_;
  std::string_view text_;
  std::size_t at_ = 0;
};

struct Entry {
  std::string_view engine;
  std::string_view name;
  std::string_view rule;
};

// Sources: our src/engine/model/engine_metrics.cc and src/gateway/gateway_metrics.cc; docs.vllm.ai "Production Metrics" (v0.5
// to v0.11, design/metrics.md); docs.sglang.io "Production Metrics"; ggml-org/llama.cpp tools/server/README.md;
// docs.nvidia.com/dynamo "Metrics Catalog".
constexpr std::array kTable = {
    Entry{"flexpert", metric::kRequests, "flexpert_engine_requests_total or flexpert_gateway_offered_total"},
    Entry{"flexpert", metric::kIsl,
          "flexpert_engine_prompt_tokens_total / flexpert_engine_ttft_seconds_count or flexpert_gateway_isl_tokens"},
    Entry{"flexpert", metric::kOsl,
          "flexpert_engine_generated_tokens_total / flexpert_engine_requests_total or flexpert_gateway_osl_tokens"},
    Entry{"flexpert", metric::kTtft, "flexpert_engine_ttft_seconds or flexpert_gateway_ttft_seconds"},
    Entry{"flexpert", metric::kItl, "flexpert_engine_itl_seconds or flexpert_gateway_itl_seconds"},
    Entry{"flexpert", metric::kDuration, "flexpert_engine_request_duration_seconds or flexpert_gateway_duration_seconds"},
    Entry{"flexpert", metric::kInFlight, "flexpert_engine_running or flexpert_gateway_in_flight"},
    Entry{"flexpert", metric::kQueued, "flexpert_engine_queue_depth or flexpert_gateway_held"},
    Entry{"flexpert", metric::kRemainingTokens, "flexpert_engine_remaining_tokens"},
    Entry{"flexpert", metric::kKv, "flexpert_engine_kv_blocks_used / flexpert_engine_kv_blocks"},
    Entry{"flexpert", metric::kCpu, "rate(process_cpu_seconds_total)"},
    Entry{"flexpert", "connections", "flexpert_gateway_connections"},
    Entry{"flexpert", "threads", "flexpert_engine_threads"},
    Entry{"flexpert", "kv_blocks", "flexpert_engine_kv_blocks"},

    Entry{"vllm", metric::kRequests, "vllm:request_success_total"},
    Entry{"vllm", metric::kIsl, "vllm:request_prompt_tokens or vllm:prompt_tokens_total / vllm:request_success_total"},
    Entry{"vllm", metric::kOsl, "vllm:request_generation_tokens or vllm:generation_tokens_total / vllm:request_success_total"},
    Entry{"vllm", metric::kTtft, "vllm:time_to_first_token_seconds"},
    Entry{"vllm", metric::kItl, "vllm:inter_token_latency_seconds or vllm:time_per_output_token_seconds"},
    Entry{"vllm", metric::kDuration, "vllm:e2e_request_latency_seconds"},
    Entry{"vllm", metric::kInFlight, "vllm:num_requests_running"},
    Entry{"vllm", metric::kQueued, "vllm:num_requests_waiting"},
    Entry{"vllm", metric::kKv, "vllm:kv_cache_usage_perc or vllm:gpu_cache_usage_perc"},
    Entry{"vllm", metric::kCpu, "rate(process_cpu_seconds_total)"},

    Entry{"sglang", metric::kRequests, "sglang:num_requests_total or sglang:e2e_request_latency_seconds_count"},
    Entry{"sglang", metric::kIsl,
          "sglang:prompt_tokens_total / sglang:num_requests_total or "
          "sglang:prompt_tokens_total / sglang:e2e_request_latency_seconds_count"},
    Entry{"sglang", metric::kOsl,
          "sglang:generation_tokens_total / sglang:num_requests_total or "
          "sglang:generation_tokens_total / sglang:e2e_request_latency_seconds_count"},
    Entry{"sglang", metric::kTtft, "sglang:time_to_first_token_seconds"},
    Entry{"sglang", metric::kItl, "sglang:inter_token_latency_seconds or sglang:time_per_output_token_seconds"},
    Entry{"sglang", metric::kDuration, "sglang:e2e_request_latency_seconds"},
    Entry{"sglang", metric::kInFlight, "sglang:num_running_reqs"},
    Entry{"sglang", metric::kQueued, "sglang:num_queue_reqs"},
    Entry{"sglang", metric::kKv, "sglang:token_usage"},
    Entry{"sglang", metric::kCpu, "rate(process_cpu_seconds_total)"},

    // It counts tokens, not requests: offered load comes from gateways.
    Entry{"llamacpp", metric::kItl, "llamacpp:tokens_predicted_seconds_total / llamacpp:tokens_predicted_total"},
    Entry{"llamacpp", metric::kInFlight, "llamacpp:requests_processing"},
    Entry{"llamacpp", metric::kQueued, "llamacpp:requests_deferred"},
    Entry{"llamacpp", metric::kKv, "llamacpp:kv_cache_usage_ratio"},
    Entry{"llamacpp", "prompt_tokens_per_s", "rate(llamacpp:prompt_tokens_total)"},
    Entry{"llamacpp", "generated_tokens_per_s", "rate(llamacpp:tokens_predicted_total)"},

    Entry{"dynamo", metric::kRequests, "dynamo_frontend_requests_total or dynamo_component_requests_total"},
    Entry{"dynamo", metric::kIsl, "dynamo_frontend_input_sequence_tokens"},
    Entry{"dynamo", metric::kOsl, "dynamo_frontend_output_sequence_tokens"},
    Entry{"dynamo", metric::kTtft, "dynamo_frontend_time_to_first_token_seconds"},
    Entry{"dynamo", metric::kItl, "dynamo_frontend_inter_token_latency_seconds"},
    Entry{"dynamo", metric::kDuration, "dynamo_frontend_request_duration_seconds or dynamo_component_request_duration_seconds"},
    Entry{"dynamo", metric::kInFlight, "dynamo_frontend_inflight_requests or dynamo_component_inflight_requests"},
    Entry{"dynamo", metric::kQueued, "dynamo_frontend_queued_requests"},
    Entry{"dynamo", metric::kKv, "dynamo_component_gpu_cache_usage_percent or dynamo_component_kvstats_gpu_cache_usage_percent"},
    Entry{"dynamo", metric::kCpu, "rate(process_cpu_seconds_total)"},
};

/// NAME{selector,labels}
std::string series_text(const SeriesSelector& series, const std::string& selector) {
  std::string inside = selector;
  for (const auto& [label, value] : series.labels) {
    if (!inside.empty()) inside += ',';
    inside += fmt::format("{}=\"{}\"", label, value);
  }
  return inside.empty() ? series.name : fmt::format("{}{{{}}}", series.name, inside);
}

/// Names of other engines with a colon are none of Prometheus' own recording rules: they stand as they are.
std::string value_query(const MetricRule& rule, const MetricFormula& formula, const std::string& selector, const std::string& window,
                        const std::string& by) {
  const std::string a = series_text(formula.a, selector);
  const std::string b = formula.b ? series_text(*formula.b, selector) : "";
  switch (formula.kind) {
    case MetricFormula::Kind::kRate: {
      // A mean over instances of what each one's series sum up to.
      if (rule.across == MetricAcross::kMean && by.empty()) return fmt::format("avg(sum by (instance) (rate({}[{}])))", a, window);
      return fmt::format("sum{} (rate({}[{}]))", by, a, window);
    }
    case MetricFormula::Kind::kMean:
      return fmt::format("sum{} (increase({}[{}])) / sum{} (increase({}[{}]))", by, a, window, by, b, window);
    case MetricFormula::Kind::kGauge: break;
  }
  const std::string_view fold = rule.across == MetricAcross::kMean && !formula.b ? "avg" : "sum";
  if (formula.b) return fmt::format("sum{} ({}) / sum{} ({})", by, a, by, b);
  return fmt::format("{}{} ({})", fold, by, a);
}

}  // namespace

bool SeriesSelector::matches(const codec::PrometheusSample& sample) const {
  return sample.name == name && std::all_of(labels.begin(), labels.end(), [&](const auto& wanted) {
    const std::string* value = sample.label(wanted.first);
    return value != nullptr && *value == wanted.second;
  });
}

Result<MetricRule> parse_metric_rule(std::string_view our_name, std::string_view text) { return RuleReader(our_name, text).read(); }

std::vector<std::string> known_engines() {
  std::vector<std::string> out;
  for (const Entry& entry : kTable)
    if (out.empty() || out.back() != entry.engine) out.emplace_back(entry.engine);
  return out;
}

Result<MetricRules> rules_for(const std::string& engine, const std::map<std::string, std::string>& names) {
  MetricRules rules;
  for (const Entry& entry : kTable) {
    if (entry.engine != engine) continue;
    FLEXPERT_ASSIGN(MetricRule rule, parse_metric_rule(entry.name, entry.rule));
    rules.insert_or_assign(std::string(entry.name), std::move(rule));
  }
  if (rules.empty())
    return fail(ErrorCode::kInvalidArgument, "sensors.engine: must be one of {}: \"{}\"", fmt::join(known_engines(), ", "), engine);
  for (const auto& [name, text] : names) {
    if (name.empty()) return fail(ErrorCode::kInvalidArgument, "sensors.names: a name must not be empty");
    if (text.empty()) {
      rules.erase(name);
      continue;
    }
    auto rule = parse_metric_rule(name, text);
    if (!rule) return fail(rule.error().with_context(fmt::format("sensors.names.{}", name)));
    rules.insert_or_assign(name, std::move(*rule));
  }
  return rules;
}

MetricQuery promql_for(const MetricRule& rule, const std::string& selector, const std::string& window, bool by_instance) {
  const std::string by = by_instance ? " by (instance)" : "";
  MetricQuery out;
  for (const MetricFormula& formula : rule.formulas) {
    const bool first = out.value.empty();
    const std::string value = value_query(rule, formula, selector, window, by);
    const std::string age = fmt::format("time() - min{} (timestamp({}))", by, series_text(formula.a, selector));
    out.value += first ? value : fmt::format(" or {}", value);
    out.age += first ? age : fmt::format(" or {}", age);
  }
  return out;
}

}  // namespace flexpert::controller
