#include "codec/openai_paths.h"

#include <gtest/gtest.h>

namespace flexpert::codec {
namespace {

TEST(OpenAiPaths, TheModelOfAPathMayHaveSlashesAndEncodedBytes) {
  EXPECT_EQ(model_of_path("/v1/models/tiny"), "tiny");
  EXPECT_EQ(model_of_path("/v1/models/Qwen/Qwen3-30B-A3B"), "Qwen/Qwen3-30B-A3B");
  EXPECT_EQ(model_of_path("/v1/models/Qwen%2FQwen3%c3%a9"), "Qwen/Qwen3\xc3\xa9");
}

TEST(OpenAiPaths, OtherPathsHaveNone) {
  for (const char* path : {"", "/v1/models", "/v1/models/", "/v1/model/x", "/v1/models/%", "/v1/models/%4", "/v1/models/%4g", "/v1/models/% 4"})
    EXPECT_EQ(model_of_path(path), std::nullopt) << path;
}

}  // namespace
}  // namespace flexpert::codec
