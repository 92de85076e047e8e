#include "codec/classic_profile_files.h"

#include <cmath>
#include <cstddef>
#include <utility>

#include <fmt/format.h>

#include "codec/npy.h"
#include "codec/zip_archive.h"

namespace flexpert::codec {
namespace {

constexpr ZipLimits kLimits{.entries = 256, .entry_bytes = 16U << 20, .total_bytes = 64U << 20};
constexpr std::size_t kMostConfigurations = 4096;

/// One file of the pair: its arrays by key, cut down to one configuration.
class Part {
 public:
  static Result<Part> open(std::string_view bytes, std::string_view name, std::string_view first_key, const ProfileConfiguration& wanted) {
    auto archive = ZipArchive::open(bytes, kLimits);
    if (!archive) return fail(archive.error().with_context(fmt::format("{} npz", name)));
    Part part(std::move(*archive), name);
    FLEXPERT_ASSIGN(const NumberArray first, part.array(first_key));
    if (first.shape.size() == 2) {
      FLEXPERT_TRY(part.choose(static_cast<std::size_t>(first.shape[0]), wanted));
    }
    return part;
  }

  /// Returns the values of `key` in the configuration.
  Result<std::vector<double>> values(std::string_view key) const {
    FLEXPERT_ASSIGN(NumberArray all, array(key));
    const std::size_t rank = configurations_ ? 2 : 1;
    if (all.shape.size() != rank || (configurations_ && all.shape[0] != *configurations_)) {
      return fail(ErrorCode::kInvalidArgument, "{} npz: {}: must have the shape {}, as the first array has; it has {}", name_, key,
                  configurations_ ? fmt::format("[{}][points]", *configurations_) : "[points]", shape_text(all.shape));
    }
    std::vector<double> result = std::move(all.values);
    if (configurations_) {
      const std::size_t width = result.size() / *configurations_;
      const auto begin = result.begin() + static_cast<std::ptrdiff_t>(chosen_ * width);
      result = std::vector<double>(begin, begin + static_cast<std::ptrdiff_t>(width));
    }
    for (std::size_t i = 0; i < result.size(); ++i) {
      if (!std::isfinite(result[i])) return fail(ErrorCode::kInvalidArgument, "{} npz: {}[{}]: must be a finite number, not {}", name_,
                                                 key, i, result[i]);
    }
    return result;
  }

 private:
  Part(ZipArchive archive, std::string_view name) : archive_(std::move(archive)), name_(name) {}

  Result<NumberArray> array(std::string_view key) const {
    const ZipEntry* entry = archive_.find(fmt::format("{}.npy", key));
    if (entry == nullptr) return fail(ErrorCode::kInvalidArgument, "{} npz: {}: the file has no such array; is it a profile of Dynamo?",
                                      name_, key);
    auto bytes = archive_.read(*entry);
    if (!bytes) return fail(bytes.error().with_context(fmt::format("{} npz: {}", name_, key)));
    auto result = parse_npy(*bytes, fmt::format("{} npz: {}", name_, key));
    if (result && (result->shape.empty() || result->shape.size() > 2 || result->values.empty())) {
      return fail(ErrorCode::kInvalidArgument, "{} npz: {}: must have one or two axes and values, not the shape {}", name_, key,
                  shape_text(result->shape));
    }
    return result;
  }

  /// Reads one number of each configuration.
  Result<std::optional<std::vector<double>>> per_configuration(std::string_view key, std::size_t count) const {
    if (archive_.find(fmt::format("{}.npy", key)) == nullptr) return std::optional<std::vector<double>>();
    FLEXPERT_ASSIGN(NumberArray all, array(key));
    if (all.values.size() != count) {
      return fail(ErrorCode::kInvalidArgument, "{} npz: {}: must have one value for each of {} configurations, not the shape {}", name_,
                  key, count,
                  shape_text(all.shape));
    }
    return std::optional(std::move(all.values));
  }

  Result<void> choose(std::size_t count, const ProfileConfiguration& wanted) {
    if (count > kMostConfigurations) return fail(ErrorCode::kInvalidArgument, "{} npz: at most {} configurations, there are {}", name_,
                                                 kMostConfigurations, count);
    configurations_ = count;
    const std::pair<std::string_view, std::optional<std::uint32_t>> keys[] = {{"tp", wanted.tp}, {"dp", wanted.dp}, {"pp", wanted.pp}};
    std::vector<bool> matches(count, true);
    std::vector<std::string> shown(count);
    for (const auto& [key, value] : keys) {
      FLEXPERT_ASSIGN(const auto sizes, per_configuration(key, count));
      if (!sizes && value) return fail(ErrorCode::kNotFound,
                                       "{} npz: {}: the file does not say it of its configurations; do not ask for it", name_, key);
      for (std::size_t i = 0; sizes && i < count; ++i) {
        if (value && (*sizes)[i] != *value) matches[i] = false;
        shown[i] += fmt::format("{}{} {}", shown[i].empty() ? "" : ", ", key, (*sizes)[i]);
      }
    }
    std::size_t found = 0;
    std::string all;
    for (std::size_t i = 0; i < count; ++i) {
      if (matches[i] && found++ == 0) chosen_ = i;
      if (i < 32) all += fmt::format("{}({})", i == 0 ? "" : ", ", shown[i].empty() ? fmt::format("number {}", i) : shown[i]);
    }
    if (found == 1) return {};
    return fail(ErrorCode::kNotFound, "{} npz: {} configurations match; choose one by tp, dp and pp, there are: {}", name_,
                found == 0 ? "no" : "several", all);
  }

  ZipArchive archive_;
  std::string name_;
  std::optional<std::size_t> configurations_;
  std::size_t chosen_ = 0;
};

Result<void> same_length(std::string_view part, std::string_view key, const std::vector<double>& values, std::string_view first_key,
                         std::size_t length) {
  if (values.size() == length) return {};
  return fail(ErrorCode::kInvalidArgument, "{} npz: {}: must have as many values as {}, {}; it has {}", part, key, first_key, length,
              values.size());
}

}  // namespace

Result<ClassicSamples> parse_dynamo_profile(std::string_view prefill_npz, std::string_view decode_npz, const ProfileConfiguration& prefill,
                                            const ProfileConfiguration& decode) {
  ClassicSamples s;
  FLEXPERT_ASSIGN(const Part p, Part::open(prefill_npz, "prefill", "prefill_isl", prefill));
  FLEXPERT_ASSIGN(s.prefill_isl, p.values("prefill_isl"));
  FLEXPERT_ASSIGN(s.prefill_ttft_ms, p.values("prefill_ttft"));
  FLEXPERT_ASSIGN(s.prefill_throughput_per_gpu, p.values("prefill_thpt_per_gpu"));
  FLEXPERT_TRY(same_length("prefill", "prefill_ttft", s.prefill_ttft_ms, "prefill_isl", s.prefill_isl.size()));
  FLEXPERT_TRY(same_length("prefill", "prefill_thpt_per_gpu", s.prefill_throughput_per_gpu, "prefill_isl", s.prefill_isl.size()));

  FLEXPERT_ASSIGN(const Part d, Part::open(decode_npz, "decode", "x_kv_usage", decode));
  FLEXPERT_ASSIGN(s.decode_kv_usage, d.values("x_kv_usage"));
  FLEXPERT_ASSIGN(s.decode_context_length, d.values("y_context_length"));
  FLEXPERT_ASSIGN(s.decode_itl_ms, d.values("z_itl"));
  FLEXPERT_ASSIGN(s.decode_throughput_per_gpu, d.values("z_thpt_per_gpu"));
  FLEXPERT_TRY(same_length("decode", "y_context_length", s.decode_context_length, "x_kv_usage", s.decode_kv_usage.size()));
  FLEXPERT_TRY(same_length("decode", "z_itl", s.decode_itl_ms, "x_kv_usage", s.decode_kv_usage.size()));
  FLEXPERT_TRY(same_length("decode", "z_thpt_per_gpu", s.decode_throughput_per_gpu, "x_kv_usage", s.decode_kv_usage.size()));
  FLEXPERT_ASSIGN(const std::vector<double> kv_tokens, d.values("max_kv_tokens"));
  s.max_kv_tokens = kv_tokens.front();
  return s;
}

}  // namespace flexpert::codec
