#include "engine/weights/checkpoint.h"

#include <array>

#include <gtest/gtest.h>

namespace flexpert::engine {
namespace {

const std::string kModel = std::string(FLEXPERT_SOURCE_DIR) + "/models/flexpert-tiny-moe";

TEST(Checkpoint, OpensTheShippedModel) {
  const auto checkpoint = Checkpoint::open(kModel);
  ASSERT_TRUE(checkpoint) << checkpoint.error().message;
  const ModelConfig& config = (*checkpoint)->config();
  EXPECT_EQ(config.architecture, "Qwen3MoeForCausalLM");
  EXPECT_EQ(config.num_layers, 6U);
  EXPECT_EQ(config.experts_per_token, 4U);
  EXPECT_TRUE(config.norm_topk_prob);
  EXPECT_EQ(config.eos_token_ids, (std::vector<std::int32_t>{2047, 2045}));
  EXPECT_EQ((*checkpoint)->fingerprint().size(), 16U);
  EXPECT_EQ((*Checkpoint::open(kModel))->fingerprint(), (*checkpoint)->fingerprint());
}

TEST(Checkpoint, GivesTensorsOfTheAskedShapeOnly) {
  const auto checkpoint = Checkpoint::open(kModel);
  ASSERT_TRUE(checkpoint);
  const std::array<std::uint64_t, 2> shape = {2048, 192};
  const auto embedding = (*checkpoint)->tensor("model.embed_tokens.weight", shape);
  ASSERT_TRUE(embedding) << embedding.error().message;
  EXPECT_EQ(embedding->type, DType::kBF16);
  EXPECT_EQ(embedding->bytes.size(), 2048U * 192U * 2U);
  const std::array<std::uint64_t, 2> turned = {192, 2048};
  const auto wrong = (*checkpoint)->tensor("model.embed_tokens.weight", turned);
  ASSERT_FALSE(wrong);
  EXPECT_NE(wrong.error().message.find("is [2048, 192], the configuration says [192, 2048]"), std::string::npos);
  const auto missing = (*checkpoint)->tensor("model.nothing", turned);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
}

TEST(Checkpoint, NamesWhatIsMissing) {
  const auto none = Checkpoint::open("/nonexistent-folder");
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().message.find("/nonexistent-folder/config.json"), std::string::npos);
}

}  // namespace
}  // namespace flexpert::engine
