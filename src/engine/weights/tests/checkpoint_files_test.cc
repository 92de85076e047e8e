// Checkpoints as files may be: shards, F32, and damaged ones, made from the shipped model in a temporary folder.
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include <unistd.h>

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "codec/safetensors.h"
#include "engine/weights/checkpoint.h"

namespace flexpert::engine {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

const std::string kModel = std::string(FLEXPERT_SOURCE_DIR) + "/models/flexpert-tiny-moe";
constexpr const char* kNorm = "model.norm.weight";

std::string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

struct Tensor {
  std::string dtype;
  std::vector<std::uint64_t> shape;
  std::string bytes;
};
using Tensors = std::map<std::string, Tensor>;

Tensors shipped_tensors() {
  const std::string file = read(kModel + "/model.safetensors");
  const auto table = codec::parse_safetensors(std::as_bytes(std::span(file.data(), file.size())), file.size());
  Tensors tensors;
  for (const auto& entry : table->tensors) tensors[entry.name] = {entry.dtype, entry.shape, file.substr(entry.begin, entry.end - entry.begin)};
  return tensors;
}

std::string serialize(const Tensors& tensors) {
  json::object header;
  std::string data;
  for (const auto& [name, tensor] : tensors) {
    header[name] = {{"dtype", tensor.dtype}, {"shape", json::value_from(tensor.shape)}, {"data_offsets", {data.size(), data.size() + tensor.bytes.size()}}};
    data += tensor.bytes;
  }
  const std::string text = json::serialize(header);
  const std::uint64_t length = text.size();
  std::string file(8, '\0');
  std::memcpy(file.data(), &length, 8);
  return file + text + data;
}

class CheckpointFiles : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / fmt::format("checkpoint_{}_{}", ::getpid(), testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    put("config.json", read(kModel + "/config.json"));
  }
  void TearDown() override { fs::remove_all(folder_); }

  void put(const std::string& name, const std::string& content) { std::ofstream(folder_ / name, std::ios::binary) << content; }
  [[nodiscard]] Result<std::shared_ptr<const Checkpoint>> open() const { return Checkpoint::open(folder_.string()); }
  void expect_refused(const std::string& part) const {
    const auto checkpoint = open();
    ASSERT_FALSE(checkpoint) << part;
    EXPECT_NE(checkpoint.error().message.find(part), std::string::npos) << checkpoint.error().message;
  }
  /// Writes two shards and their index.
  void put_shards(const Tensors& tensors) {
    Tensors shards[2];
    json::object map;
    std::size_t i = 0;
    for (const auto& [name, tensor] : tensors) {
      shards[i % 2][name] = tensor;
      map[name] = fmt::format("model-0000{}-of-00002.safetensors", i % 2 + 1);
      ++i;
    }
    for (std::size_t shard = 0; shard < 2; ++shard) put(fmt::format("model-0000{}-of-00002.safetensors", shard + 1), serialize(shards[shard]));
    put("model.safetensors.index.json", json::serialize(json::object{{"weight_map", map}}));
  }

  fs::path folder_;
};

TEST_F(CheckpointFiles, ReadsShards) {
  const Tensors tensors = shipped_tensors();
  put_shards(tensors);
  const auto checkpoint = open();
  ASSERT_TRUE(checkpoint) << checkpoint.error().message;
  for (const auto& [name, tensor] : tensors) {
    const auto view = (*checkpoint)->tensor(name, tensor.shape);
    ASSERT_TRUE(view) << name;
    ASSERT_EQ(view->bytes.size(), tensor.bytes.size());
    EXPECT_EQ(std::memcmp(view->bytes.data(), tensor.bytes.data(), tensor.bytes.size()), 0) << name;
  }
}

TEST_F(CheckpointFiles, ReadsF32) {
  Tensors tensors = shipped_tensors();
  Tensor& norm = tensors[kNorm];
  std::string wide;
  for (std::size_t i = 0; i < norm.bytes.size(); i += 2) wide += std::string(2, '\0') + norm.bytes.substr(i, 2);
  norm = {"F32", norm.shape, wide};
  put("model.safetensors", serialize(tensors));
  const auto checkpoint = open();
  ASSERT_TRUE(checkpoint) << checkpoint.error().message;
  const auto view = (*checkpoint)->tensor(kNorm, norm.shape);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->type, DType::kF32);
  EXPECT_EQ(view->bytes.size(), norm.shape[0] * 4);
}

TEST_F(CheckpointFiles, RefusesShardsThatDoNotFitTheirIndex) {
  put_shards(shipped_tensors());
  const std::string index = read(folder_ / "model.safetensors.index.json");
  const auto with = [&](const json::value& file) {
    json::value changed = json::parse(index);
    changed.at("weight_map").as_object()[kNorm] = file;
    put("model.safetensors.index.json", json::serialize(changed));
  };
  with("model-00009-of-00002.safetensors");
  expect_refused("cannot open file: " + (folder_ / "model-00009-of-00002.safetensors").string());
  with("../model.safetensors");
  expect_refused("plain file names of the same folder: tensor model.norm.weight");
  with(7);
  expect_refused("must hold file names: tensor model.norm.weight");
  json::value changed = json::parse(index);
  changed.at("weight_map").as_object()["model.extra"] = "model-00001-of-00002.safetensors";
  put("model.safetensors.index.json", json::serialize(changed));
  expect_refused("a tensor that its shard does not have: model.extra");
  put("model.safetensors.index.json", "{}");
  expect_refused("required field is missing: weight_map");
  put("model.safetensors.index.json", "{");
  expect_refused("not valid JSON");
}

TEST_F(CheckpointFiles, RefusesMissingTensorsWrongShapesAndDtypes) {
  Tensors tensors = shipped_tensors();
  const Tensor norm = tensors[kNorm];
  tensors.erase(kNorm);
  put("model.safetensors", serialize(tensors));
  expect_refused("checkpoint has no tensor model.norm.weight");
  tensors[kNorm] = {"BF16", {2, 96}, norm.bytes};
  put("model.safetensors", serialize(tensors));
  expect_refused("wrong shape: model.norm.weight is [2, 96], the configuration says [192]");
  tensors[kNorm] = {"F16", norm.shape, norm.bytes};
  put("model.safetensors", serialize(tensors));
  expect_refused("cannot be loaded (F32 and BF16 can): model.norm.weight is F16");
  tensors[kNorm] = norm;
  tensors["unused"] = {"I64", {1}, std::string(8, '\0')};  // of another dtype, but nobody needs it
  put("model.safetensors", serialize(tensors));
  EXPECT_TRUE(open());
}

TEST_F(CheckpointFiles, RefusesDamagedAndMissingFiles) {
  expect_refused("neither model.safetensors nor model.safetensors.index.json");
  const std::string whole = read(kModel + "/model.safetensors");
  put("model.safetensors", whole.substr(0, whole.size() / 2));
  expect_refused("truncated");
  put("model.safetensors", "");
  expect_refused("too short");
  fs::remove(folder_ / "model.safetensors");
  fs::create_directory(folder_ / "model.safetensors");
  expect_refused("not a regular file");
  put("config.json", "{\"architectures\":");
  expect_refused("config.json is not valid JSON");
}

TEST_F(CheckpointFiles, FingerprintsTellOtherWeightsApart) {
  Tensors tensors = shipped_tensors();
  put("model.safetensors", serialize(tensors));
  const std::string one = (*open())->fingerprint();
  for (auto& [name, tensor] : tensors)
    for (char& byte : tensor.bytes) byte = static_cast<char>(byte ^ 1);
  put("model.safetensors", serialize(tensors));
  EXPECT_NE((*open())->fingerprint(), one);
}

}  // namespace
}  // namespace flexpert::engine
