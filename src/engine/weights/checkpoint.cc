#include "engine/weights/checkpoint.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>
#include <optional>
#include <unordered_map>

#include <boost/json.hpp>
#include <xxhash.h>

#include "codec/safetensors.h"
#include "engine/weights/families/family.h"
#include "engine/weights/mapped_file.h"

namespace flexpert::engine {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr std::size_t kMaxConfigBytes = 16U << 20;
constexpr std::size_t kMaxIndexBytes = 256U << 20;
/// How much of the weights the fingerprint samples, per file.
constexpr std::size_t kSamples = 64;
constexpr std::size_t kSampleBytes = 64;

struct Shard {
  std::string name;
  MappedFile file;
  codec::SafetensorsTable table;
};

struct Located {
  const Shard* shard = nullptr;
  const codec::SafetensorsEntry* entry = nullptr;
};

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

Result<std::string> read_text(const fs::path& path, std::size_t most) {
  FLEXPERT_ASSIGN(const MappedFile file, MappedFile::open(path.string()));
  if (file.bytes().size() > most)
    return fail(ErrorCode::kInvalidArgument, "file is larger than the allowed {} bytes: {}", most, path.string());
  return std::string(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
}

Result<std::unique_ptr<Shard>> open_shard(const fs::path& folder, const std::string& name) {
  const std::string path = (folder / name).string();
  FLEXPERT_ASSIGN(MappedFile file, MappedFile::open(path));
  auto table = codec::parse_safetensors(file.bytes(), file.bytes().size());
  if (!table) return fail(table.error().with_context(path));
  return std::make_unique<Shard>(Shard{name, std::move(file), std::move(*table)});
}

/// A shard's name must be a plain file name: an index never reaches outside its folder.
bool plain_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos;
}

/// Reads tensor -> shard from the text of model.safetensors.index.json.
Result<std::map<std::string, std::string>> parse_index(std::string_view text) {
  json::error_code error;
  const json::value root = json::parse(json::string_view(text.data(), text.size()), error);
  if (error) return fail(ErrorCode::kInvalidArgument, "not valid JSON: {}", error.message());
  const json::object* object = root.if_object();
  const json::value* map = object == nullptr ? nullptr : object->if_contains("weight_map");
  if (map == nullptr || !map->is_object() || map->get_object().empty())
    return fail(ErrorCode::kInvalidArgument, "required field is missing: weight_map, an object of tensor names and file names");
  std::map<std::string, std::string> shards;
  for (const auto& [tensor, file] : map->get_object()) {
    const std::string name(tensor.data(), tensor.size());
    if (!file.is_string()) return fail(ErrorCode::kInvalidArgument, "weight_map must hold file names: tensor {}", name);
    std::string shard(file.get_string().data(), file.get_string().size());
    if (!plain_name(shard))
      return fail(ErrorCode::kInvalidArgument, "weight_map must hold plain file names of the same folder: tensor {} in {}", name, shard);
    shards.emplace(name, std::move(shard));
  }
  return shards;
}

class MappedCheckpoint final : public Checkpoint {
 public:
  explicit MappedCheckpoint(std::string folder) : folder_(std::move(folder)) {}

  Result<void> load() {
    const fs::path folder(folder_);
    FLEXPERT_ASSIGN(const std::string config_text, read_text(folder / "config.json", kMaxConfigBytes));
    std::optional<std::string> generation;
    if (is_there(folder / "generation_config.json")) {
      FLEXPERT_ASSIGN(generation, read_text(folder / "generation_config.json", kMaxConfigBytes));
    }
    auto config = parse_model_config(config_text, generation);
    if (!config) return fail(config.error().with_context(folder_));
    config_ = std::move(*config);
    if (is_there(folder / "model.safetensors")) {
      FLEXPERT_TRY(load_single(folder));
    } else if (is_there(folder / "model.safetensors.index.json")) {
      FLEXPERT_TRY(load_sharded(folder));
    } else {
      return fail(ErrorCode::kNotFound, "no weights: neither model.safetensors nor model.safetensors.index.json in {}", folder_);
    }
    for (const ExpectedTensor& expected : find_family(config_.architecture)->tensors(config_))
      if (const auto found = tensor(expected.name, expected.shape); !found) return fail(found.error());
    fingerprint_ = compute_fingerprint(config_text);
    return {};
  }

  [[nodiscard]] const ModelConfig& config() const override { return config_; }
  [[nodiscard]] const std::string& folder() const override { return folder_; }
  [[nodiscard]] const std::string& fingerprint() const override { return fingerprint_; }

  [[nodiscard]] Result<TensorView> tensor(std::string_view name, std::span<const std::uint64_t> shape) const override {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) return fail(ErrorCode::kNotFound, "checkpoint has no tensor {}: {}", name, folder_);
    const auto& [shard, entry] = found->second;
    if (!std::equal(shape.begin(), shape.end(), entry->shape.begin(), entry->shape.end()))
      return fail(ErrorCode::kInvalidArgument, "tensor has the wrong shape: {} is [{}], the configuration says [{}] ({}/{})", name,
                  fmt::join(entry->shape, ", "), fmt::join(shape, ", "), folder_, shard->name);
    if (entry->dtype != "F32" && entry->dtype != "BF16")
      return fail(ErrorCode::kInvalidArgument, "tensor has a dtype that cannot be loaded (F32 and BF16 can): {} is {} ({}/{})", name,
                  entry->dtype, folder_, shard->name);
    return TensorView{.type = entry->dtype == "F32" ? DType::kF32 : DType::kBF16,
                      .shape = entry->shape,
                      .bytes = shard->file.bytes().subspan(entry->begin, entry->end - entry->begin)};
  }

 private:
  Result<void> load_single(const fs::path& folder) {
    FLEXPERT_ASSIGN(auto shard, open_shard(folder, "model.safetensors"));
    shards_.push_back(std::move(shard));
    for (const auto& entry : shards_.back()->table.tensors) tensors_.emplace(entry.name, Located{shards_.back().get(), &entry});
    return {};
  }

  Result<void> load_sharded(const fs::path& folder) {
    const std::string index_path = (folder / "model.safetensors.index.json").string();
    FLEXPERT_ASSIGN(const std::string text, read_text(index_path, kMaxIndexBytes));
    auto index = parse_index(text);
    if (!index) return fail(index.error().with_context(index_path));
    std::map<std::string, std::map<std::string_view, const codec::SafetensorsEntry*>> contents;
    std::map<std::string, const Shard*> by_name;
    for (const auto& [tensor, file] : *index) {
      if (by_name.contains(file)) continue;
      FLEXPERT_ASSIGN(auto shard, open_shard(folder, file));
      shards_.push_back(std::move(shard));
      by_name[file] = shards_.back().get();
      for (const auto& entry : shards_.back()->table.tensors) contents[file].emplace(entry.name, &entry);
    }
    std::sort(shards_.begin(), shards_.end(), [](const auto& a, const auto& b) { return a->name < b->name; });
    for (const auto& [tensor, file] : *index) {
      const auto& entries = contents[file];
      const auto entry = entries.find(tensor);
      if (entry == entries.end())
        return fail(ErrorCode::kInvalidArgument, "{}: the index names a tensor that its shard does not have: {} in {}", index_path, tensor, file);
      tensors_.emplace(entry->second->name, Located{by_name[file], entry->second});
    }
    return {};
  }

  [[nodiscard]] std::string compute_fingerprint(std::string_view config_text) const {
    XXH64_hash_t hash = XXH3_64bits(config_text.data(), config_text.size());
    const auto mix = [&](std::span<const std::byte> bytes) { hash = XXH3_64bits_withSeed(bytes.data(), bytes.size(), hash); };
    for (const auto& shard : shards_) {
      const auto bytes = shard->file.bytes();
      mix(bytes.first(shard->table.data_begin));
      const std::uint64_t size = bytes.size();
      mix(std::as_bytes(std::span(&size, 1)));
      const auto data = bytes.subspan(shard->table.data_begin);
      for (std::size_t i = 0; i < kSamples; ++i) {
        const std::size_t at = data.size() / kSamples * i;
        mix(data.subspan(at, std::min(kSampleBytes, data.size() - at)));
      }
    }
    return fmt::format("{:016x}", hash);
  }

  std::string folder_;
  ModelConfig config_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::unordered_map<std::string_view, Located> tensors_;  // names live in the shards' tables
  std::string fingerprint_;
};

}  // namespace

Result<std::shared_ptr<const Checkpoint>> Checkpoint::open(const std::string& folder) {
  auto checkpoint = std::make_shared<MappedCheckpoint>(folder);
  FLEXPERT_TRY(checkpoint->load());
  return std::shared_ptr<const Checkpoint>(std::move(checkpoint));
}

}  // namespace flexpert::engine
