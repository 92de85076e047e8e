#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/clock.h"
#include "collecting_sink.h"
#include "engine/model/engine.h"
#include "golden_files.h"
#include "memory_experts.h"
#include "telemetry/metrics.h"

namespace flexpert::engine {

/// The shipped model in an Engine.
class EngineTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto checkpoint = Checkpoint::open(tiny_model_folder());
    ASSERT_TRUE(checkpoint.has_value()) << checkpoint.error().message;
    checkpoint_ = *checkpoint;
    auto tokenizer = Tokenizer::open(tiny_model_folder());
    ASSERT_TRUE(tokenizer.has_value()) << tokenizer.error().message;
    tokenizer_ = *tokenizer;
    experts_ = std::make_unique<MemoryExperts>(*checkpoint_);
  }
  static void TearDownTestSuite() {
    experts_.reset();
    tokenizer_.reset();
    checkpoint_.reset();
  }

  Engine& start(EngineOptions options = {}) {
    auto engine = Engine::start(checkpoint_, tokenizer_, *experts_, options, metrics_, clock_);
    EXPECT_TRUE(engine.has_value()) << engine.error().message;
    engine_ = std::move(*engine);
    return *engine_;
  }

  static GenerationRequest request(std::string id, std::vector<TokenId> prompt, std::uint32_t max_tokens) {
    GenerationRequest made;
    made.id = std::move(id);
    made.prompt = std::move(prompt);
    made.max_tokens = max_tokens;
    made.sampling.temperature = 0;
    made.ignore_eos = true;
    return made;
  }

  Heard generate(GenerationRequest asked) {
    Collected collected;
    const auto submitted = engine_->submit(std::move(asked), collected.sink());
    EXPECT_TRUE(submitted.has_value());
    if (!submitted) return {};
    return collected.wait();
  }

  inline static std::shared_ptr<const Checkpoint> checkpoint_;
  inline static std::shared_ptr<const Tokenizer> tokenizer_;
  inline static std::unique_ptr<MemoryExperts> experts_;
  SystemClock clock_;
  telemetry::Registry metrics_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace flexpert::engine
