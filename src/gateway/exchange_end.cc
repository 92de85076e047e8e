#include <utility>
#include <vector>

#include "codec/http1.h"
#include "gateway/exchange.h"
#include "gateway/refusals.h"
#include "gateway/relay.h"

namespace flexpert::gateway {

/// The fields that every answer has from the gateway itself.
void Exchange::append_own_fields(std::string& lines) {
  lines.append("X-Request-Id: ").append(id_.text()).append("\r\n");
  if (!degraded_.empty()) codec::append_http1_field(lines, "X-Flexpert-Degraded", degraded_);
  if (!cache_field_.empty()) lines.append(kCacheField).append(": ").append(cache_field_).append("\r\n");
  if (!caller_) return;
  const std::size_t before = lines.size();
  relay_.parts_.admission.append_rate_limit_fields(lines, *caller_);
  own_rate_limits_ = lines.size() > before;
}

void Exchange::refuse(const Refusal& refusal) {
  if (load_) load_->fail();
  if (reason_.empty()) reason_ = refusal.code;
  if (refusal.status == 401) audit("authentication_failed", {}, refusal.code);
  if (refusal.status == 403) audit("denied", fields_.model, refusal.code);
  std::string fields;
  append_refusal_fields(fields, refusal);
  if (refusal.status == 405) codec::append_http1_field(fields, "Allow", route_->methods);
  respond(refusal.status, fields, refusal_body(refusal));
}

void Exchange::respond(int status, std::string_view fields, std::string_view body) {
  status_ = status;
  sent_bytes_ += body.size();
  relay_.buffers_.fill(head_);
  head_.assign(fields);
  append_own_fields(head_);
  std::exchange(client_, nullptr)->respond(status, head_, body);
  end(status < 400 ? cache_field_ == kCacheHit ? "cached" : "ok" : status < 500 ? "refused" : "failed");
}

/// The answer of a call that the gateway carried out itself.
void Exchange::answer(http::Response response) {
  local_ = nullptr;
  std::string fields;
  for (const auto& [name, value] : response.headers.fields()) codec::append_http1_field(fields, name, value);
  respond(response.status, fields, response.body);
}

void Exchange::on_client_gone() {
  client_ = nullptr;
  // Others wait for the same answer, and its server needs nothing of this client's any more.
  if (lead_ != nullptr && answering_ && !streaming_ && lead_->wanted()) {
    abandoned_ = true;
    if (std::exchange(paused_, false)) sent_->set_reading(true);
    return;
  }
  if (!answered_whole_) status_ = kClientGone;
  // It must not be used any more, and what is sent is still being read from its buffers.
  if (sent_ != nullptr) std::exchange(sent_, nullptr)->cancel();
  if (Answer* const answer = std::exchange(local_, nullptr); answer != nullptr) answer->lose(true);
  end("client_gone");
}

void Exchange::drop() {
  if (sent_ != nullptr) std::exchange(sent_, nullptr)->cancel();
  if (Answer* const answer = std::exchange(local_, nullptr); answer != nullptr) answer->lose(false);
  client_ = nullptr;
  status_ = kClientGone;
  end("gateway_stopped");
}

void Exchange::end(std::string_view outcome) {
  relay_.parts_.metrics.add_in_flight(-1);
  relay_.parts_.metrics.count_request(route_, status_);
  count_tokens();
  if (admitted_) admitted_->settle(prompt_tokens_, completion_tokens_);
  write_access(outcome);
  give_back();
}

/// A request that no server worked on costs nothing; who goes away while one does has had the prompt read.
void Exchange::count_tokens() {
  if (!load_ || !(answering_ || (attempts_ > 0 && status_ == kClientGone))) return;
  const AnswerMeter& meter = load_->meter();
  const auto prompt = meter.prompt_tokens();
  const auto completion = meter.completion_tokens();
  prompt_tokens_ = prompt ? *prompt : static_cast<std::uint64_t>(load_->prompt_estimate());
  completion_tokens_ = completion ? *completion : meter.pieces();
}

/// Leaves everything as it is before a request, but for memory that the next one can use.
void Exchange::give_back() {
  relay_.parts_.loop.cancel(std::exchange(timer_, 0));
  if (streaming_ && started_) relay_.streams_.remove(*this);
  if (!whole_) std::erase(relay_.awaiting_body_, this);
  verdict_.reset();
  queued_.reset();
  following_.reset();
  lead_.reset();
  cache_field_ = {};
  prompt_tokens_ = completion_tokens_ = 0;
  ticket_.release();
  load_.reset();
  admitted_.reset();
  splice_.reset();
  caller_.reset();
  right_ = nullptr;
  fields_.model = {};
  route_ = nullptr;
  whole_ = waiting_ = answering_ = abandoned_ = streaming_ = until_close_ = started_ = answered_whole_ = paused_ = own_rate_limits_ = false;
  attempts_ = 0;
  status_ = 0;
  reason_ = degraded_ = {};
  capped_ = moved_ = false;
  content_length_.reset();
  tail_ = {};
  last_beat_ = {};
  sent_bytes_ = request_bytes_ = 0;
  first_piece_ = {};
  failed_on_.clear();
  relay_.buffers_.give(head_);
  active_ = false;
  relay_.give_back(*this);
}

}  // namespace flexpert::gateway
