// Writes a Qwen3-MoE checkpoint folder as GGUF version 3 with f32 weights, so that llama.cpp can run the same weights.
// usage: flexpert_gguf MODEL_DIR OUT.gguf
// The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "engine/weights/checkpoint.h"

namespace flexpert::engine {
namespace {

namespace json = boost::json;

constexpr std::uint64_t kAlignment = 32;
enum ValueType : std::uint32_t { kU32 = 4, kI32 = 5, kF32 = 6, kBool = 7, kString = 8, kArray = 9 };
enum TokenType : std::int32_t { kNormal = 1, kControl = 3, kUserDefined = 4, kUnused = 5 };

/// Little-endian bytes in the making.
class Bytes {
 public:
  template <class T>
  void number(T value) {
    char raw[sizeof(T)];
    std::memcpy(raw, &value, sizeof(T));
    text_.append(raw, sizeof(T));
  }
  void string(std::string_view value) {
    number<std::uint64_t>(value.size());
    text_ += value;
  }
  void append(const Bytes& other) { text_ += other.text_; }
  void pad() { text_.append((kAlignment - text_.size() % kAlignment) % kAlignment, '\0'); }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

/// The key-value part of the header.
class Metadata {
 public:
  void u32(const std::string& key, std::uint32_t value) { start(key, kU32).number(value); }
  void f32(const std::string& key, float value) { start(key, kF32).number(value); }
  void boolean(const std::string& key, bool value) { start(key, kBool).number<std::uint8_t>(value ? 1 : 0); }
  void string(const std::string& key, std::string_view value) { start(key, kString).string(value); }
  void strings(const std::string& key, const std::vector<std::string>& values) {
    start_array(key, kString, values.size());
    for (const auto& value : values) bytes_.string(value);
  }
  void integers(const std::string& key, const std::vector<std::int32_t>& values) {
    start_array(key, kI32, values.size());
    for (const auto value : values) bytes_.number(value);
  }
  [[nodiscard]] const Bytes& bytes() const { return bytes_; }
  [[nodiscard]] std::uint64_t count() const { return count_; }

 private:
  Bytes& start(const std::string& key, ValueType type) {
    ++count_;
    bytes_.string(key);
    bytes_.number<std::uint32_t>(type);
    return bytes_;
  }
  void start_array(const std::string& key, ValueType type, std::uint64_t size) {
    start(key, kArray).number<std::uint32_t>(type);
    bytes_.number(size);
  }

  Bytes bytes_;
  std::uint64_t count_ = 0;
};

/// A GGUF tensor made of one or more checkpoint tensors laid one after another (the experts of a layer).
struct Tensor {
  std::string name;
  std::vector<std::uint64_t> shape;  ///< row-major, as in the checkpoint
  std::vector<std::string> sources;
  std::vector<std::uint64_t> source_shape;

  [[nodiscard]] std::uint64_t bytes() const {
    std::uint64_t total = sizeof(float);
    for (const std::uint64_t extent : shape) total *= extent;
    return total;
  }
};

std::vector<Tensor> tensors_of(const ModelConfig& c) {
  std::vector<Tensor> all;
  const auto add = [&](const std::string& name, const std::string& source, std::vector<std::uint64_t> shape) {
    all.push_back({name, shape, {source}, shape});
  };
  const std::uint64_t hidden = c.hidden_size;
  const std::uint64_t q = std::uint64_t{c.num_heads} * c.head_dim;
  const std::uint64_t kv = std::uint64_t{c.num_kv_heads} * c.head_dim;
  add("token_embd.weight", "model.embed_tokens.weight", {c.vocab_size, hidden});
  add("output_norm.weight", "model.norm.weight", {hidden});
  if (!c.tie_word_embeddings) add("output.weight", "lm_head.weight", {c.vocab_size, hidden});
  for (std::uint32_t layer = 0; layer < c.num_layers; ++layer) {
    const std::string from = fmt::format("model.layers.{}.", layer);
    const std::string to = fmt::format("blk.{}.", layer);
    add(to + "attn_norm.weight", from + "input_layernorm.weight", {hidden});
    add(to + "ffn_norm.weight", from + "post_attention_layernorm.weight", {hidden});
    add(to + "attn_q_norm.weight", from + "self_attn.q_norm.weight", {c.head_dim});
    add(to + "attn_k_norm.weight", from + "self_attn.k_norm.weight", {c.head_dim});
    add(to + "attn_q.weight", from + "self_attn.q_proj.weight", {q, hidden});
    add(to + "attn_k.weight", from + "self_attn.k_proj.weight", {kv, hidden});
    add(to + "attn_v.weight", from + "self_attn.v_proj.weight", {kv, hidden});
    add(to + "attn_output.weight", from + "self_attn.o_proj.weight", {hidden, q});
    add(to + "ffn_gate_inp.weight", from + "mlp.gate.weight", {c.num_experts, hidden});
    for (const std::string part : {"gate", "up", "down"}) {
      const std::uint64_t rows = part == "down" ? hidden : c.moe_intermediate_size;
      const std::uint64_t columns = part == "down" ? c.moe_intermediate_size : hidden;
      Tensor experts{to + "ffn_" + part + "_exps.weight", {c.num_experts, rows, columns}, {}, {rows, columns}};
      for (std::uint32_t expert = 0; expert < c.num_experts; ++expert)
        experts.sources.push_back(fmt::format("{}mlp.experts.{}.{}_proj.weight", from, expert, part));
      all.push_back(std::move(experts));
    }
  }
  return all;
}

std::vector<float> to_f32(const TensorView& view) {
  std::vector<float> values(view.bytes.size() / size_of(view.type));
  if (view.type == DType::kF32) {
    std::memcpy(values.data(), view.bytes.data(), view.bytes.size());
    return values;
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::uint16_t half = 0;
    std::memcpy(&half, view.bytes.data() + 2 * i, 2);
    const std::uint32_t bits = std::uint32_t{half} << 16;
    std::memcpy(&values[i], &bits, 4);
  }
  return values;
}

Result<json::value> read_json(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  json::error_code error;
  json::value value = json::parse(text, error);
  if (!file || error) return fail(ErrorCode::kInvalidArgument, "cannot read JSON: {}", path);
  return value;
}

/// The vocabulary as llama.cpp wants it: token texts by id (in GPT-2's printable alphabet, as in tokenizer.json).
Result<void> add_tokenizer(const json::value& tokenizer, const ModelConfig& config, Metadata& metadata) {
  std::vector<std::string> texts(config.vocab_size);
  std::vector<std::int32_t> types(config.vocab_size, kUnused);
  for (std::size_t id = 0; id < texts.size(); ++id) texts[id] = fmt::format("[PAD{}]", id);
  const auto put = [&](std::int64_t id, std::string text, TokenType type) -> Result<void> {
    if (id < 0 || id >= config.vocab_size) return fail(ErrorCode::kInvalidArgument, "token id is not below vocab_size: {}", id);
    texts[static_cast<std::size_t>(id)] = std::move(text);
    types[static_cast<std::size_t>(id)] = type;
    return {};
  };
  for (const auto& [text, id] : tokenizer.at("model").at("vocab").as_object()) FLEXPERT_TRY(put(id.to_number<std::int64_t>(), std::string(text), kNormal));
  for (const json::value& token : tokenizer.at("added_tokens").as_array())
    FLEXPERT_TRY(put(token.at("id").to_number<std::int64_t>(), json::value_to<std::string>(token.at("content")),
                     token.at("special").as_bool() ? kControl : kUserDefined));
  std::vector<std::string> merges;
  for (const json::value& merge : tokenizer.at("model").at("merges").as_array())
    merges.push_back(merge.is_string() ? json::value_to<std::string>(merge)
                                       : json::value_to<std::string>(merge.at(0)) + " " + json::value_to<std::string>(merge.at(1)));
  metadata.string("tokenizer.ggml.model", "gpt2");
  metadata.string("tokenizer.ggml.pre", tokenizer.at("pre_tokenizer").at("type") == "ByteLevel" ? "gpt-2" : "qwen2");
  metadata.strings("tokenizer.ggml.tokens", texts);
  metadata.integers("tokenizer.ggml.token_type", types);
  metadata.strings("tokenizer.ggml.merges", merges);
  if (!config.eos_token_ids.empty()) metadata.u32("tokenizer.ggml.eos_token_id", static_cast<std::uint32_t>(config.eos_token_ids[0]));
  metadata.boolean("tokenizer.ggml.add_bos_token", false);
  return {};
}

Result<Metadata> metadata_of(const Checkpoint& checkpoint) {
  const ModelConfig& c = checkpoint.config();
  for (std::uint32_t layer = 0; layer < c.num_layers; ++layer)
    if (!c.is_moe_layer(layer)) return fail(ErrorCode::kInvalidArgument, "llama.cpp's qwen3moe has no dense layers: layer {}", layer);
  if (!c.norm_topk_prob) return fail(ErrorCode::kInvalidArgument, "llama.cpp's qwen3moe always renormalises; norm_topk_prob is false");
  Metadata metadata;
  const std::string arch = "qwen3moe.";
  metadata.string("general.architecture", "qwen3moe");
  metadata.string("general.name", "flexpert oracle");
  metadata.u32("general.alignment", kAlignment);
  metadata.u32("general.file_type", 0);  // all f32
  metadata.u32(arch + "context_length", c.max_positions);
  metadata.u32(arch + "embedding_length", c.hidden_size);
  metadata.u32(arch + "block_count", c.num_layers);
  metadata.u32(arch + "feed_forward_length", c.intermediate_size);
  metadata.u32(arch + "attention.head_count", c.num_heads);
  metadata.u32(arch + "attention.head_count_kv", c.num_kv_heads);
  metadata.u32(arch + "attention.key_length", c.head_dim);
  metadata.u32(arch + "attention.value_length", c.head_dim);
  metadata.u32(arch + "expert_count", c.num_experts);
  metadata.u32(arch + "expert_used_count", c.experts_per_token);
  metadata.u32(arch + "expert_feed_forward_length", c.moe_intermediate_size);
  metadata.u32(arch + "vocab_size", c.vocab_size);
  metadata.f32(arch + "rope.freq_base", static_cast<float>(c.rope_theta));
  metadata.f32(arch + "attention.layer_norm_rms_epsilon", c.rms_norm_eps);
  FLEXPERT_ASSIGN(const json::value tokenizer, read_json(checkpoint.folder() + "/tokenizer.json"));
  FLEXPERT_TRY(add_tokenizer(tokenizer, c, metadata));
  return metadata;
}

Result<void> write(const std::string& folder, const std::string& path) {
  FLEXPERT_ASSIGN(const auto checkpoint, Checkpoint::open(folder));
  FLEXPERT_ASSIGN(const Metadata metadata, metadata_of(*checkpoint));
  const std::vector<Tensor> tensors = tensors_of(checkpoint->config());
  Bytes head;
  head.number<std::uint32_t>(0x46554747);  // "GGUF"
  head.number<std::uint32_t>(3);
  head.number<std::uint64_t>(tensors.size());
  head.number<std::uint64_t>(metadata.count());
  head.append(metadata.bytes());
  const auto padded = [](std::uint64_t size) { return (size + kAlignment - 1) / kAlignment * kAlignment; };
  std::uint64_t offset = 0;
  for (const Tensor& tensor : tensors) {
    head.string(tensor.name);
    head.number(static_cast<std::uint32_t>(tensor.shape.size()));
    for (auto extent = tensor.shape.rbegin(); extent != tensor.shape.rend(); ++extent) head.number(*extent);  // innermost first
    head.number<std::uint32_t>(0);  // f32
    head.number(offset);
    offset += padded(tensor.bytes());
  }
  head.pad();
  std::ofstream file(path, std::ios::binary);
  file.write(head.text().data(), static_cast<std::streamsize>(head.text().size()));
  for (const Tensor& tensor : tensors) {
    for (const std::string& source : tensor.sources) {
      FLEXPERT_ASSIGN(const TensorView view, checkpoint->tensor(source, tensor.source_shape));
      const std::vector<float> values = to_f32(view);
      file.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(float)));
    }
    const std::string padding(padded(tensor.bytes()) - tensor.bytes(), '\0');
    file.write(padding.data(), static_cast<std::streamsize>(padding.size()));
  }
  file.flush();
  if (!file) return fail(ErrorCode::kUnavailable, "cannot write file: {}", path);
  return {};
}

}  // namespace
}  // namespace flexpert::engine

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: flexpert_gguf MODEL_DIR OUT.gguf\n");
    return 2;
  }
  try {
    const auto written = flexpert::engine::write(argv[1], argv[2]);
    if (written) return 0;
    std::fprintf(stderr, "flexpert_gguf: %s\n", written.error().message.c_str());
  } catch (const std::exception& error) {  // Boost.JSON's at() and as_...()
    std::fprintf(stderr, "flexpert_gguf: tokenizer.json has not the expected form: %s\n", error.what());
  }
  return 1;
}
