#include <algorithm>
#include <utility>

#include "base/log.h"
#include "codec/openai_answer.h"
#include "gateway/exchange.h"
#include "gateway/header_rules.h"
#include "gateway/refusals.h"
#include "gateway/relay.h"

namespace flexpert::gateway {
namespace {

using codec::Http1KnownField;

constexpr std::string_view kStreamType = "text/event-stream";
constexpr std::string_view kHeartbeat = ": keep-alive\n\n";

std::string_view name_of(http::OutboundFailure failure) {
  switch (failure) {
    case http::OutboundFailure::kConnect: return "connect";
    case http::OutboundFailure::kStale: return "stale";
    case http::OutboundFailure::kNoAnswer: return "no_answer";
    case http::OutboundFailure::kBroken: return "broken";
    case http::OutboundFailure::kMalformed: return "malformed";
    case http::OutboundFailure::kHeadTimeout: return "head_timeout";
    case http::OutboundFailure::kIdleTimeout: return "idle_timeout";
  }
  return "unknown";
}

}  // namespace

void Exchange::on_head(const codec::Http1ResponseView& head) {
  status_ = head.status;
  if (status_ == 503 && refused_and_another_may_take_it()) return;
  const std::string_view type = head.find(Http1KnownField::kContentType);
  streaming_ = codec::http1_equal_ignoring_case(type.substr(0, kStreamType.size()), kStreamType);
  until_close_ = head.framing == codec::Http1Framing::kUntilClose;
  // Heartbeats and errors of ours go into a stream: it has no length that anybody could know.
  content_length_ = head.framing == codec::Http1Framing::kLength && !streaming_ ? std::optional(head.content_length) : std::nullopt;
  if (head.framing == codec::Http1Framing::kNone) content_length_ = 0;
  answering_ = true;
  if (lead_ != nullptr && !lead_->head(status_, type, head.find(Http1KnownField::kContentEncoding))) lead_.reset();
  // What was sent is not needed any more: its buffer has the answer's fields now.
  head_.clear();
  append_own_fields(head_);
  append_fields_for_client(head_, head, own_rate_limits_);
}

/// A server that refuses, because it drains or stops, has done nothing: the request may go to another one.
bool Exchange::refused_and_another_may_take_it() {
  ModelPool* pool = relay_.parts_.directory.find(fields_.model);
  if (pool == nullptr) return false;
  failed_on_.push_back(ticket_.endpoint());
  const bool another = std::any_of(pool->all().endpoints().begin(), pool->all().endpoints().end(), [&](const auto& endpoint) {
    return endpoint->ready && !endpoint->draining && std::find(failed_on_.begin(), failed_on_.end(), endpoint.get()) == failed_on_.end();
  });
  if (!another || !may_retry("refused")) {
    failed_on_.pop_back();
    return false;
  }
  sent_->cancel();
  let_server_go();
  attempt();
  return true;
}

/// The head waits for the first piece: until then a server that dies can be replaced without the client's notice.
void Exchange::begin_answer(std::string_view first_piece) {
  started_ = true;
  const bool whole = !streaming_ && content_length_ == first_piece.size();
  if (whole) {
    answered_whole_ = true;
    client_->respond(status_, head_, first_piece);
    client_ = nullptr;
  } else {
    client_->start(status_, head_, content_length_);
    // A stream may go on for long: nobody asks for the request again.
    if (streaming_) client_->release_request();
  }
  relay_.buffers_.give(head_);
}

void Exchange::on_body(std::string_view piece) {
  const TimePoint now = relay_.parts_.loop.now();
  sent_bytes_ += piece.size();
  if (lead_ != nullptr && !lead_->body(piece)) {
    lead_.reset();
    if (abandoned_) return give_up_for_nobody();
  }
  if (abandoned_) return load_->part(piece);
  if (streaming_) {
    if (!started_) {
      begin_answer(piece);
      first_piece_ = now;
      relay_.parts_.metrics.observe_ttft(now - arrived_);
      relay_.streams_.add(*this);
    } else {
      relay_.parts_.metrics.observe_itl(now - last_piece_);
    }
    last_piece_ = now;
    tail_.feed(piece);
    load_->piece(piece, now);
  } else {
    if (status_ < 400) load_->part(piece);
    if (!started_) {
      begin_answer(piece);
      if (answered_whole_) return;
    }
  }
  if (!client_->write(piece) && !paused_) {
    paused_ = true;
    sent_->set_reading(false);
  }
}

/// The client has gone, and now nobody else waits for the answer either.
void Exchange::give_up_for_nobody() {
  std::exchange(sent_, nullptr)->cancel();
  status_ = kClientGone;
  end("client_gone");
}

void Exchange::on_writable() {
  if (std::exchange(paused_, false) && sent_ != nullptr) sent_->set_reading(true);
}

void Exchange::on_end() {
  sent_ = nullptr;
  // Where only the connection's end marks the stream's, a crash looks the same, but for the last event.
  if (streaming_ && until_close_ && !tail_.done()) {
    if (!started_) return on_error(http::OutboundFailure::kBroken, {ErrorCode::kDataLoss, "the connection ended before the stream began"});
    report(true);
    return break_stream("the connection ended before the stream did");
  }
  report(status_ >= 500 && status_ != 503);
  load_->finish(status_, relay_.parts_.loop.now());
  if (lead_ != nullptr) {
    count_tokens();
    std::exchange(lead_, nullptr)->finish(prompt_tokens_, completion_tokens_);
  }
  if (abandoned_) {
    status_ = kClientGone;
    return end("client_gone");
  }
  if (!started_) {
    // An answer without a body.
    client_->respond(status_, head_, {});
    client_ = nullptr;
  } else if (!answered_whole_) {
    client_->finish();
    client_ = nullptr;
  }
  end(status_ < 400 ? "ok" : "upstream_refused");
}

void Exchange::on_error(http::OutboundFailure failure, const Error& error) {
  sent_ = nullptr;
  const std::string server = ticket_.endpoint()->id;
  log::warn("server {} failed a request ({}): {}", server, name_of(failure), error.message);
  report(true);
  const bool timed_out = failure == http::OutboundFailure::kHeadTimeout || failure == http::OutboundFailure::kIdleTimeout;
  const bool gone = !timed_out && failure != http::OutboundFailure::kMalformed;
  failed_on_.push_back(ticket_.endpoint());
  let_server_go();
  if (gone) relay_.lost(server);
  if (abandoned_) return end("client_gone");
  if (answered_whole_) return end("ok");  // it has all that the server said it would
  if (started_) return break_stream(error.message);
  if (gone && may_retry(name_of(failure))) return attempt();
  reason_ = name_of(failure);
  if (timed_out) return refuse(upstream_timed_out());
  refuse(failure == http::OutboundFailure::kMalformed || failure == http::OutboundFailure::kBroken ? upstream_answered_badly() : upstream_went_away());
}

void Exchange::break_stream(std::string_view why) {
  log::warn("an answer of the model {} broke off: {}", fields_.model, why);
  load_->fail();
  reason_ = "stream_broken";
  if (streaming_) {
    codec::ApiError error;
    error.message = "The server failed in the middle of this stream; what came before is incomplete";
    error.type = "upstream_error";
    error.code = "stream_broken";
    // Whatever event was begun ends here, so that the error stands on lines of its own.
    client_->write((tail_.between_events() ? "" : "\n\n") + codec::error_event(error));
  }
  std::exchange(client_, nullptr)->abort();
  end("upstream_failed");
}

void Exchange::beat(TimePoint now, Duration heartbeat) {
  if (paused_ || !started_ || client_ == nullptr || now - std::max(last_piece_, last_beat_) < heartbeat || !tail_.between_events()) return;
  last_beat_ = now;
  if (!client_->write(kHeartbeat) && sent_ != nullptr) {
    paused_ = true;
    sent_->set_reading(false);
  }
}

}  // namespace flexpert::gateway
