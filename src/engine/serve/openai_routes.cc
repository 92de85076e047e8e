#include "engine/serve/openai_routes.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "codec/openai_answer.h"

namespace flexpert::engine {
namespace {

constexpr std::uint32_t kDefaultCompletionTokens = 16;  // as OpenAI has it
constexpr std::size_t kMostBytesToOneByNfc = 4;         // NFC never shortens UTF-8 more than that

/// Requests of one server get different seeds, and so do servers that start at the same time on one host.
std::uint64_t start_seed(const Clock& clock, const void* self) {
  return static_cast<std::uint64_t>(clock.unix_ms()) * 0x9e3779b97f4a7c15ULL ^ static_cast<std::uint64_t>(clock.now().time_since_epoch().count()) ^
         reinterpret_cast<std::uintptr_t>(self);
}

std::uint32_t tokens_that_fit(const ServedModel& model) {
  const std::uint64_t cached = static_cast<std::uint64_t>(model.engine.stats().kv_blocks_total) * model.kv_block_tokens;
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(model.engine.max_context(), cached));
}

}  // namespace

OpenAiRoutes::OpenAiRoutes(net::EventLoop& loop, const ServedModel& model)
    : loop_(loop),
      model_(model),
      context_limit_(tokens_that_fit(model)),
      random_(start_seed(model.clock, this)),
      created_(model.clock.unix_ms() / 1000) {
  for (std::size_t id = 0; id < model.tokenizer.size(); ++id)
    longest_token_bytes_ = std::max(longest_token_bytes_, model.tokenizer.bytes_of(static_cast<TokenId>(id)).size());
  for (const std::int32_t id : model.engine.config().eos_token_ids) eos_.push_back(id);
}

void OpenAiRoutes::start() {
  outbox_ = std::make_shared<TokenOutbox>(loop_, [this](std::vector<TokenEvent> events) { deliver(std::move(events)); });
}

void OpenAiRoutes::stop() {
  if (outbox_) outbox_->close();
  for (auto& [key, generation] : generations_) {
    model_.engine.cancel(generation.id());
    generation.abort();
  }
  generations_.clear();
}

codec::ApiResult<void> OpenAiRoutes::check_model(const codec::GenerationSettings& settings) const {
  if (settings.model == model_.name) return {};
  return std::unexpected(codec::ApiError{.status = 404,
                                         .message = fmt::format("The model '{}' does not exist here; this server has '{}'.", settings.model, model_.name),
                                         .param = "model",
                                         .code = "model_not_found"});
}

codec::ApiError OpenAiRoutes::too_long(std::string_view param, std::string_view prompt_tokens, std::uint32_t max_tokens) const {
  return {.status = 400,
          .message = fmt::format("This model's maximum context length is {} tokens. However, you requested {} tokens in the {} and {} in the "
                                 "completion. Please reduce the length of the {} or of the completion.",
                                 context_limit_, prompt_tokens, param, max_tokens, param),
          .param = std::string(param),
          .code = "context_length_exceeded"};
}

codec::ApiResult<std::vector<TokenId>> OpenAiRoutes::encode(std::string_view text, std::string_view param,
                                                            const codec::GenerationSettings& settings) const {
  // A text that cannot fit whatever its tokens are is not encoded at all: it may be megabytes long.
  const std::size_t least_tokens = text.size() / (longest_token_bytes_ * kMostBytesToOneByNfc);
  if (least_tokens > context_limit_) return std::unexpected(too_long(param, fmt::format("at least {}", least_tokens), settings.max_tokens.value_or(1)));
  return model_.tokenizer.encode(text);
}

codec::ApiResult<OpenAiRoutes::Prompt> OpenAiRoutes::prompt_of(codec::ChatCompletionRequest request) const {
  if (auto ok = check_model(request.settings); !ok) return std::unexpected(ok.error());
  std::vector<ChatMessage> messages;
  messages.reserve(request.messages.size());
  for (codec::ApiMessage& message : request.messages) messages.push_back({.role = std::move(message.role), .content = std::move(message.content)});
  const auto text = model_.chat_template.render(messages);
  if (!text) return std::unexpected(codec::ApiError{.status = 400, .message = text.error().message, .param = "messages"});
  auto tokens = encode(*text, "messages", request.settings);
  if (!tokens) return std::unexpected(tokens.error());
  return Prompt{.tokens = std::move(*tokens), .param = "messages"};
}

codec::ApiResult<OpenAiRoutes::Prompt> OpenAiRoutes::prompt_of(codec::CompletionRequest request) const {
  if (auto ok = check_model(request.settings); !ok) return std::unexpected(ok.error());
  Prompt prompt{.tokens = {}, .param = "prompt", .default_max_tokens = kDefaultCompletionTokens};
  if (const auto* text = std::get_if<std::string>(&request.prompt)) {
    auto tokens = encode(*text, "prompt", request.settings);
    if (!tokens) return std::unexpected(tokens.error());
    prompt.tokens = std::move(*tokens);
  } else {
    prompt.tokens = std::move(std::get<1>(request.prompt));
  }
  return prompt;
}

void OpenAiRoutes::chat_completion(std::string_view body, GenerationRights rights, Reply reply) {
  auto request = codec::parse_chat_completion_request(body);
  if (!request) return reply.fail(request.error());
  codec::GenerationSettings settings = request->settings;
  auto prompt = prompt_of(std::move(*request));
  if (!prompt) return reply.fail(prompt.error());
  submit(codec::ApiForm::kChat, std::move(*prompt), std::move(settings), std::move(rights), std::move(reply));
}

void OpenAiRoutes::completion(std::string_view body, GenerationRights rights, Reply reply) {
  auto request = codec::parse_completion_request(body);
  if (!request) return reply.fail(request.error());
  codec::GenerationSettings settings = request->settings;
  auto prompt = prompt_of(std::move(*request));
  if (!prompt) return reply.fail(prompt.error());
  submit(codec::ApiForm::kText, std::move(*prompt), std::move(settings), std::move(rights), std::move(reply));
}

void OpenAiRoutes::tokenize(std::string_view body, Reply reply) const {
  // A body of either form; what says neither is told about the prompt.
  codec::ApiResult<Prompt> prompt;
  if (auto chat = codec::parse_chat_completion_request(body)) {
    prompt = prompt_of(std::move(*chat));
  } else if (auto text = codec::parse_completion_request(body)) {
    prompt = prompt_of(std::move(*text));
  } else {
    return reply.fail(chat.error().param.starts_with("messages[") ? chat.error() : text.error());
  }
  if (!prompt) return reply.fail(prompt.error());
  reply.respond_json(200, fmt::format("{{\"count\":{},\"max_model_len\":{},\"tokens\":[{}],\"token_strs\":null}}", prompt->tokens.size(), context_limit_,
                                      fmt::join(prompt->tokens, ",")));
}

codec::ModelCard OpenAiRoutes::card() const { return {.id = model_.name, .created = created_, .max_context = context_limit_}; }

void OpenAiRoutes::models(Reply reply) const {
  const std::array cards = {card()};
  reply.respond_json(200, codec::encode_models(cards));
}

void OpenAiRoutes::model(std::string_view name, Reply reply) const {
  codec::GenerationSettings asked;
  asked.model = name;
  if (const auto ok = check_model(asked); !ok) return reply.fail(ok.error());
  reply.respond_json(200, codec::encode_model(card()));
}

void OpenAiRoutes::submit(codec::ApiForm form, Prompt prompt, codec::GenerationSettings settings, GenerationRights rights, Reply reply) {
  if (prompt.tokens.empty()) return reply.fail({.status = 400, .message = "The prompt has no tokens.", .param = std::string(prompt.param)});
  const std::uint32_t vocabulary = model_.engine.config().vocab_size;
  for (std::size_t i = 0; i < prompt.tokens.size(); ++i) {
    if (prompt.tokens[i] >= 0 && static_cast<std::uint32_t>(prompt.tokens[i]) < vocabulary) continue;
    return reply.fail({.status = 400,
                       .message = fmt::format("Invalid token id in '{}': {} (the model has {} tokens).", prompt.param, prompt.tokens[i], vocabulary),
                       .param = fmt::format("{}[{}]", prompt.param, i)});
  }
  const std::uint64_t prompt_tokens = prompt.tokens.size();
  const std::uint64_t room = prompt_tokens < context_limit_ ? context_limit_ - prompt_tokens : 0;
  std::uint64_t max_tokens = settings.max_tokens.value_or(0);
  if (!settings.max_tokens) max_tokens = prompt.default_max_tokens == 0 ? room : std::min<std::uint64_t>(room, prompt.default_max_tokens);
  if (room == 0 || max_tokens > room)
    return reply.fail(too_long(prompt.param, fmt::to_string(prompt_tokens), static_cast<std::uint32_t>(std::max<std::uint64_t>(max_tokens, 1))));

  const std::uint64_t key = ++last_key_;
  GenerationRequest request{.id = fmt::format("{}{:016x}{:08x}", form == codec::ApiForm::kChat ? "chatcmpl-" : "cmpl-", random_.next(), key),
                            .prompt = std::move(prompt.tokens),
                            .max_tokens = static_cast<std::uint32_t>(max_tokens),
                            .sampling = {.temperature = settings.temperature.value_or(1.0F),
                                         .top_p = settings.top_p.value_or(1.0F),
                                         .top_k = settings.top_k.value_or(0),
                                         .seed = settings.seed ? *settings.seed : random_.next(),
                                         .top_logprobs = settings.top_logprobs},
                            .stop = std::move(settings.stop),
                            .ignore_eos = settings.ignore_eos,
                            .mask = std::move(rights.mask),
                            .deadline = rights.deadline};
  const codec::AnswerHead head{.form = form,
                               .id = request.id,
                               .created = model_.clock.unix_ms() / 1000,
                               .model = model_.name,
                               .system_fingerprint = "fp_" + model_.fingerprint};
  std::string id = request.id;
  if (auto ok = model_.engine.submit(std::move(request), outbox_->sink_for(key)); !ok) return reply.fail(to_api_error(ok.error()));

  // Posted, because the HTTP server may notice the loss inside a write that a generation is just doing.
  reply.on_disconnect([this, weak = weak_from_this(), key] {
    if (weak.expired()) return;
    loop_.post([weak, key] {
      if (const auto self = weak.lock()) self->on_disconnect(key);
    });
  });
  const GenerationOptions options{.stream = settings.stream,
                                  .include_usage = settings.include_usage,
                                  .logprobs = settings.top_logprobs.has_value(),
                                  .ignore_eos = settings.ignore_eos};
  generations_.try_emplace(key, std::move(id), std::move(reply), head, options, model_.tokenizer, eos_);
}

void OpenAiRoutes::on_disconnect(std::uint64_t key) {
  const auto found = generations_.find(key);
  if (found == generations_.end()) return;
  model_.engine.cancel(found->second.id());
  generations_.erase(found);
}

void OpenAiRoutes::deliver(std::vector<TokenEvent> events) {
  std::vector<std::uint64_t> to_flush;
  for (const TokenEvent& event : events) {
    const auto found = generations_.find(event.key);
    if (found == generations_.end()) continue;  // its client has gone
    if (event.end) {
      // Taken out first: the end of an answer may begin the next request of its connection, and so change the map.
      auto ended = generations_.extract(found);
      ended.mapped().on_end(*event.end);
    } else {
      found->second.on_token(event.token);
      to_flush.push_back(event.key);
    }
  }
  for (const std::uint64_t key : to_flush)
    if (const auto found = generations_.find(key); found != generations_.end()) found->second.flush();
}

}  // namespace flexpert::engine
