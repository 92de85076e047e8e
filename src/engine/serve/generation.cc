#include "engine/serve/generation.h"

#include <algorithm>

namespace flexpert::engine {

Generation::Generation(std::string id, Reply reply, const codec::AnswerHead& head, GenerationOptions options, const Tokenizer& tokenizer,
                       const std::vector<TokenId>& eos)
    : id_(std::move(id)),
      reply_(std::move(reply)),
      writer_(head, options.include_usage, options.logprobs),
      form_(head.form),
      options_(options),
      tokenizer_(tokenizer),
      eos_(eos) {}

void Generation::begin_stream() {
  if (reply_.started()) return;
  reply_.start_events();
  if (form_ == codec::ApiForm::kChat) events_ += writer_.role_event();
}

void Generation::add_text(std::string_view text) {
  if (!options_.stream) {
    text_ += text;
    return;
  }
  begin_stream();
  if (text.empty() && logprobs_.empty()) return;
  events_ += writer_.delta_event(text, logprobs_);
  logprobs_.clear();
}

void Generation::on_token(const GeneratedToken& token) {
  // The end token is not part of the answer.
  const bool is_end = !options_.ignore_eos && std::find(eos_.begin(), eos_.end(), token.token) != eos_.end();
  if (options_.logprobs && token.logprob && !is_end) {
    codec::ApiTokenLogprob entry{.token = std::string(tokenizer_.bytes_of(token.token)), .logprob = *token.logprob};
    for (const TokenLogprob& other : token.top) entry.top.emplace_back(std::string(tokenizer_.bytes_of(other.token)), other.logprob);
    logprobs_.push_back(std::move(entry));
  }
  add_text(token.text);
}

void Generation::on_end(const GenerationEnd& end) {
  switch (end.reason) {
    case FinishReason::kCancelled: return reply_.abort();
    case FinishReason::kError:
      return fail(end.error ? to_api_error(*end.error)
                            : codec::ApiError{.status = 500, .message = "The engine failed.", .type = "server_error", .code = "internal_error"});
    case FinishReason::kStop:
    case FinishReason::kLength: break;
  }
  const std::string_view reason = end.reason == FinishReason::kStop ? "stop" : "length";
  const codec::ApiUsage usage{.prompt_tokens = end.usage.prompt_tokens, .completion_tokens = end.usage.completion_tokens};
  add_text(end.text);
  if (!options_.stream) return reply_.respond_json(200, writer_.whole(text_, reason, logprobs_, usage));
  events_ += writer_.finish_event(reason);
  if (options_.include_usage) events_ += writer_.usage_event(usage);
  events_ += codec::kStreamEnd;
  flush();
  reply_.finish();
}

void Generation::flush() {
  if (events_.empty()) return;
  reply_.write(events_);
  events_.clear();
}

void Generation::fail(const codec::ApiError& error) {
  if (!reply_.started()) return reply_.fail(error);
  // The status is gone already; without [DONE] no client takes the stream for whole.
  events_ += codec::error_event(error);
  flush();
  reply_.finish();
}

}  // namespace flexpert::engine
