#include "config/policies_profile.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <utility>

#include "codec/classic_profile_files.h"
#include "codec/profile_json.h"
#include "config/file_bytes.h"

namespace flexpert::config {
namespace {

namespace fs = std::filesystem;

constexpr const char* kAllowed =
    "a .json profile (flexpert profile writes them), a folder with selected_prefill_interpolation/raw_data.npz and selected_decode_interpolation/raw_data.npz, or with prefill.npz and decode.npz, or "
    "a mapping with prefill: FILE and decode: FILE";

struct ProfileFiles {
  std::string prefill;
  std::string decode;
  codec::ProfileConfiguration prefill_of;
  codec::ProfileConfiguration decode_of;
};

std::optional<ProfileFiles> in_folder(const std::string& folder) {
  constexpr std::pair<const char*, const char*> kLayouts[] = {
      {"selected_prefill_interpolation/raw_data.npz", "selected_decode_interpolation/raw_data.npz"}, {"prefill.npz", "decode.npz"}};
  for (const auto& [prefill, decode] : kLayouts) {
    std::error_code error;
    ProfileFiles files{(fs::path(folder) / prefill).string(), (fs::path(folder) / decode).string(), {}, {}};
    if (fs::is_regular_file(files.prefill, error) && fs::is_regular_file(files.decode, error)) return files;
  }
  return std::nullopt;
}

void read_part(SectionReader& section, std::string_view key, std::optional<std::uint32_t>& out) {
  if (section.value(key) == nullptr) return;
  out = 1;
  section.count(key, 1, 4096, *out);
}

std::optional<ProfileFiles> files_of(const YamlNode& node, const std::string& path, ProblemList& problems) {
  if (node.kind == YamlNode::Kind::kMapping) {
    ProfileFiles files;
    SectionReader section(node, path, problems);
    section.text("prefill", files.prefill);
    section.text("decode", files.decode);
    read_part(section, "prefill_tp", files.prefill_of.tp);
    read_part(section, "prefill_dp", files.prefill_of.dp);
    read_part(section, "prefill_pp", files.prefill_of.pp);
    read_part(section, "decode_tp", files.decode_of.tp);
    read_part(section, "decode_dp", files.decode_of.dp);
    read_part(section, "decode_pp", files.decode_of.pp);
    section.finish();
    for (const char* key : {"prefill", "decode"})
      if (section.value(key) == nullptr) problems.add(node.line, section.path_of(key), "the key is missing", "the path of an npz file");
    if (files.prefill.empty() || files.decode.empty()) return std::nullopt;
    return files;
  }
  std::string folder;
  if (!read_text(node, path, problems, folder)) return std::nullopt;
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    problems.add(node.line, path, fmt::format("there is no folder {}", node.describe()), kAllowed);
    return std::nullopt;
  }
  auto files = in_folder(folder);
  if (!files) problems.add(node.line, path, fmt::format("the folder {} has no profile", node.describe()), kAllowed);
  return files;
}

Result<std::shared_ptr<const perf::ClassicProfile>> load(const ProfileFiles& files) {
  FLEXPERT_ASSIGN(const std::string prefill, read_file_bytes(files.prefill));
  FLEXPERT_ASSIGN(const std::string decode, read_file_bytes(files.decode));
  FLEXPERT_ASSIGN(auto samples, codec::parse_dynamo_profile(prefill, decode, files.prefill_of, files.decode_of));
  return perf::ClassicProfile::create(std::move(samples));
}

/// Our own format: what was measured by length, single steps, or both.
Result<void> load_json(const std::string& path, scaling::SlaOptions& out) {
  FLEXPERT_ASSIGN(const std::string text, read_file_bytes(path));
  FLEXPERT_ASSIGN(EngineProfile profile, codec::parse_profile_json(text));
  if (!profile.samples && profile.steps.empty()) return fail(ErrorCode::kInvalidArgument, "it has neither prefill and decode nor steps");
  if (profile.samples) {
    FLEXPERT_ASSIGN(out.profile, perf::ClassicProfile::create(std::move(*profile.samples)));
  }
  if (!profile.steps.empty()) {
    FLEXPERT_ASSIGN(const perf::StepCoefficients coefficients, perf::fit_steps(profile.steps));
    out.engine = perf::EngineModel(coefficients, profile.limits.value_or(EngineLimits{}));
  }
  return {};
}

bool is_json(const YamlNode& node) { return node.kind == YamlNode::Kind::kScalar && node.text.ends_with(".json"); }

}  // namespace

void read_profile(SectionReader& policy, ProblemList& problems, scaling::SlaOptions& out) {
  const YamlNode* node = policy.value("profile");
  if (node == nullptr) return;
  Result<void> loaded;
  if (is_json(*node)) {
    loaded = load_json(node->text, out);
  } else {
    const auto files = files_of(*node, policy.path_of("profile"), problems);
    if (!files) return;
    auto profile = load(*files);
    if (profile) out.profile = *profile;
    else loaded = fail(profile.error());
  }
  if (!loaded)
    problems.add(node->line, policy.path_of("profile"), fmt::format("the profile cannot be used: {}", loaded.error().message), kAllowed);
}

}  // namespace flexpert::config
