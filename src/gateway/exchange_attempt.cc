#include <algorithm>
#include <array>
#include <utility>

#include "base/append_all.h"
#include "base/decimal.h"
#include "base/log.h"
#include "codec/internal_grant.h"
#include "crypto/digest.h"
#include "gateway/exchange.h"
#include "gateway/header_rules.h"
#include "gateway/refusals.h"
#include "gateway/relay.h"
#include "gateway/session_hash.h"

namespace flexpert::gateway {
namespace {

using namespace std::string_view_literals;

constexpr int kMaxAttempts = 2;
/// A lost server may be tried again without news of it: waiting requests look so often.
constexpr Duration kLookAgain = Milliseconds(500);

}  // namespace

void Exchange::attempt() {
  const TimePoint now = relay_.parts_.loop.now();
  ModelPool* pool = relay_.parts_.directory.find(fields_.model);
  if (pool == nullptr) return wait_or_refuse();
  if (attempts_ == 0 && !waiting_) pool->retries().note_request(now);
  // Restricted rights close every server that cannot leave experts out, or be told which.
  if (right_->restricted() && (relay_.parts_.signer == nullptr || (pool->own().endpoints().empty() && pool->has_foreign())))
    return refuse(masking_unavailable(fields_.model));
  ServerPick picked = pick(*pool);
  if (!picked.ticket.held()) return wait_or_refuse();
  relay_.parts_.loop.cancel(std::exchange(timer_, 0));
  waiting_ = false;
  ++attempts_;
  status_ = 0;
  ticket_ = std::move(picked.ticket);
  if (admitted_) admitted_->hold(false);
  load_->sent(ticket_.endpoint()->id, now);
  send(*picked.server);
}

ServerPick Exchange::pick(ModelPool& pool) {
  const TimePoint now = relay_.parts_.loop.now();
  routing::PickRequest request{.tokens = (load_->prompt_estimate() + static_cast<double>(answer_tokens())) * right_->cost};
  request.excluded = failed_on_;
  choose_hashes(request, pool, *caller_, client_->head(), fields_.prompt_at.in(client_->body()));
  ServerPick picked = relay_.parts_.directory.pick(pool, request, right_->restricted(), now, relay_.rng_);
  if (picked.ticket.held() || failed_on_.empty()) return picked;
  // Back on a server that failed it: good enough if it is another process by now, or there is no other.
  request.excluded = {};
  return relay_.parts_.directory.pick(pool, request, right_->restricted(), now, relay_.rng_);
}

void Exchange::wait_or_refuse() {
  const TimePoint now = relay_.parts_.loop.now();
  ServerDirectory& directory = relay_.parts_.directory;
  const LoadReport& load = relay_.parts_.load;
  const RelayOptions& options = relay_.options_;
  const bool scaled = directory.scaled(fields_.model);
  if (!waiting_) {
    if (scaled && (load.held() >= options.max_held || load.held_bytes() + client_->body().size() > options.max_held_bytes)) return refuse(too_many_held());
    waiting_ = true;
    wait_until_ = now + (scaled ? options.hold : options.recovery_wait);
  }
  if (now < wait_until_ && (scaled || directory.recovering(fields_.model, now, options.recovery_wait))) {
    if (scaled) {
      load_->hold();
      if (admitted_) admitted_->hold(true);
    }
    relay_.parts_.loop.cancel(timer_);
    timer_ = relay_.parts_.loop.call_after(std::min<Duration>(wait_until_ - now, kLookAgain), [this] {
      timer_ = 0;
      attempt();
    });
    return;
  }
  // A model that only an unchecked upstream could have had.
  if (!directory.knows(fields_.model)) return refuse(no_such_model(fields_.model));
  refuse(nobody_ready(fields_.model, scaled ? 10 : 2));
}

void Exchange::look_again() {
  if (waiting_) attempt();
}

void Exchange::send(const ModelServer& server) {
  if (server.upstream == nullptr) return refuse(nobody_ready(fields_.model, 10));  // it cannot be connected to: its CA file is no more
  body_ = client_->body();
  const std::span<const std::string_view> body = splice_ ? splice_->parts() : std::span<const std::string_view>(&body_, 1);
  if (const Result<void> made = make_head(server, body); !made) {
    log::warn("what a caller may use cannot be told to server {}: {}", server.id, made.error().message);
    return refuse(masking_unavailable(fields_.model));
  }
  sent_ = server.upstream->send(head_, body, false, *this);
}

/// Makes the whole head anew: nothing of the client's goes on but what the rules let through.
Result<void> Exchange::make_head(const ModelServer& server, std::span<const std::string_view> body) {
  constexpr std::string_view kEnd = "\r\n";
  relay_.buffers_.fill(head_);
  head_.clear();
  const codec::Http1RequestView& head = client_->head();
  std::size_t bytes = 0;
  for (const std::string_view part : body) bytes += part.size();
  std::array<char, kDecimalBytes> digits;
  const std::string_view length(digits.data(), write_decimal(digits.data(), bytes));
  append_all(head_, head.method, " "sv, head.target, " HTTP/1.1\r\nHost: "sv, server.host, "\r\nContent-Length: "sv, length, "\r\nX-Request-Id: "sv, id_.text(), kEnd);
  append_fields_for_upstream(head_, head);
  trace_.begin_attempt(head_, head, server.id, relay_.parts_.loop.now(), relay_.rng_);
  if (!server.authorization.empty()) append_all(head_, "Authorization: "sv, server.authorization, kEnd);
  if (server.own && relay_.parts_.signer != nullptr) {
    append_all(head_, codec::kInternalGrantField, ": "sv);
    FLEXPERT_TRY(relay_.parts_.signer->append(head_, *caller_, fields_.model,
                                              {.request_id = id_.text(), .body_sha256 = crypto::sha256(body), .unix_ms = relay_.parts_.clock.unix_ms()}));
    append_all(head_, kEnd);
  }
  append_all(head_, kEnd);
  return {};
}

bool Exchange::may_retry(std::string_view reason) {
  if (started_ || attempts_ >= kMaxAttempts) return false;
  ModelPool* pool = relay_.parts_.directory.find(fields_.model);
  if (pool != nullptr && !pool->retries().take(relay_.parts_.loop.now())) {
    relay_.parts_.metrics.count_retry_refused();
    return false;
  }
  relay_.parts_.metrics.count_retry(reason);
  return true;
}

void Exchange::report(bool failed) {
  trace_.end_attempt(status_, failed ? "upstream_failed" : "", relay_.parts_.loop.now());
  if (!ticket_.held()) return;
  if (ModelPool* pool = relay_.parts_.directory.find(fields_.model); pool != nullptr)
    relay_.parts_.directory.report(*pool, *ticket_.endpoint(), failed, relay_.parts_.loop.now());
}

void Exchange::let_server_go() {
  sent_ = nullptr;
  ticket_.release();
  load_->returned(relay_.parts_.loop.now());
}

}  // namespace flexpert::gateway
