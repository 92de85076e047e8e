// Answers that need no server: those that are kept, and those that somebody else computes just now.
#include <utility>

#include "gateway/exchange.h"
#include "gateway/relay.h"
#include "routing/degradation.h"

namespace flexpert::gateway {

/// Goes on to admission, unless the answer is there or on its way: what needs no server waits for none.
void Exchange::look_in_cache(const Changes& changes) {
  ResponseCaching* caching = relay_.parts_.caching;
  if (caching == nullptr || !caching->enabled() || (route_->endpoint != Endpoint::kChat && route_->endpoint != Endpoint::kCompletions))
    return ask_for_admission();
  auto looked = caching->look({.caller = caller_.get(),
                               .path = route_->path,
                               .model = fields_.model,
                               .model_epoch = relay_.model_epoch_,
                               .cap_max_tokens = changes.cap_max_tokens,
                               .body = client_->body(),
                               .cache_control = client_->head().find(codec::Http1KnownField::kCacheControl),
                               .even_stale = changes.even_stale},
                              [this](ResponseCaching::Told told) {
                                following_.reset();
                                take_told(std::move(told));
                              });
  if (auto* hit = std::get_if<ResponseCaching::Hit>(&looked)) return answer_from(*hit->answer, hit->by_ladder);
  if (auto* following = std::get_if<std::unique_ptr<ResponseCaching::Following>>(&looked)) {
    following_ = std::move(*following);
    return;
  }
  if (auto* lead = std::get_if<std::unique_ptr<ResponseCaching::Lead>>(&looked)) take_lead(std::move(*lead));
  ask_for_admission();
}

void Exchange::take_lead(std::unique_ptr<ResponseCaching::Lead> lead) {
  lead_ = std::move(lead);
  cache_field_ = kCacheMiss;
}

void Exchange::take_told(ResponseCaching::Told told) {
  if (auto* answer = std::get_if<ResponseCaching::AnswerPtr>(&told)) return answer_from(**answer, false);
  if (auto* lead = std::get_if<std::unique_ptr<ResponseCaching::Lead>>(&told)) take_lead(std::move(*lead));
  ask_for_admission();
}

void Exchange::answer_from(const routing::CachedAnswer& cached, bool by_ladder) {
  if (const auto refusal = relay_.parts_.admission.count(*caller_)) return refuse(*refusal);
  if (by_ladder) note_degradation(routing::degraded_header(capped_, true, moved_));
  cache_field_ = kCacheHit;
  prompt_tokens_ = cached.prompt_tokens;
  completion_tokens_ = cached.completion_tokens;
  std::string fields = "Content-Type: ";
  fields.append(cached.content_type).append("\r\n");
  load_.reset();  // no server had anything to do with it
  respond(200, fields, cached.body);
}

}  // namespace flexpert::gateway
