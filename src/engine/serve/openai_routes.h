#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/rng.h"
#include "codec/openai_answer.h"
#include "codec/openai_request.h"
#include "engine/serve/generation.h"
#include "engine/serve/served_model.h"
#include "net/event_loop.h"

namespace flexpert::engine {

/// What a generation may use and until when it is worth beginning.
struct GenerationRights {
  std::shared_ptr<const ExpertMask> mask;  ///< null: every expert
  std::optional<TimePoint> deadline;
};

/// POST /v1/chat/completions, POST /v1/completions, POST /tokenize and GET /v1/models. Belongs to the loop's thread.
class OpenAiRoutes : public std::enable_shared_from_this<OpenAiRoutes> {
 public:
  /// `model` must outlive it; make it with std::make_shared.
  OpenAiRoutes(net::EventLoop& loop, const ServedModel& model);
  /// Starts to receive tokens; called once.
  void start();
  /// Forgets every request and cancels it in the engine.
  void stop();

  void chat_completion(std::string_view body, GenerationRights rights, Reply reply);
  void completion(std::string_view body, GenerationRights rights, Reply reply);
  /// POST /tokenize, as vLLM has it: the tokens of a prompt or of a chat.
  void tokenize(std::string_view body, Reply reply) const;
  void models(Reply reply) const;
  /// GET /v1/models/NAME.
  void model(std::string_view name, Reply reply) const;
  /// Prompt and answer together may have so many tokens.
  [[nodiscard]] std::uint32_t context_limit() const { return context_limit_; }

 private:
  struct Prompt {
    std::vector<TokenId> tokens;
    std::string_view param;  // "messages" or "prompt"
    std::uint32_t default_max_tokens = 0;
  };

  [[nodiscard]] codec::ModelCard card() const;
  /// Returns what a chat, or a text or tokens, is to the model.
  codec::ApiResult<Prompt> prompt_of(codec::ChatCompletionRequest request) const;
  codec::ApiResult<Prompt> prompt_of(codec::CompletionRequest request) const;
  codec::ApiResult<void> check_model(const codec::GenerationSettings& settings) const;
  codec::ApiResult<std::vector<TokenId>> encode(std::string_view text, std::string_view param, const codec::GenerationSettings& settings) const;
  codec::ApiError too_long(std::string_view param, std::string_view prompt_tokens, std::uint32_t max_tokens) const;
  void submit(codec::ApiForm form, Prompt prompt, codec::GenerationSettings settings, GenerationRights rights, Reply reply);
  void deliver(std::vector<TokenEvent> events);
  void on_disconnect(std::uint64_t key);

  net::EventLoop& loop_;
  const ServedModel& model_;
  std::uint32_t context_limit_;
  std::size_t longest_token_bytes_ = 1;
  std::vector<TokenId> eos_;
  Rng random_;
  std::int64_t created_;
  std::uint64_t last_key_ = 0;
  std::shared_ptr<TokenOutbox> outbox_;
  std::unordered_map<std::uint64_t, Generation> generations_;
};

}  // namespace flexpert::engine
