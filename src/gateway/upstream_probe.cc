#include "gateway/upstream_probe.h"

#include <utility>

#include "codec/internal_grant.h"

namespace flexpert::gateway {
namespace {

constexpr std::size_t kLongestBody = 1024 * 1024;

}  // namespace

UpstreamProbe::UpstreamProbe(net::EventLoop& loop, http::OutboundUpstream& upstream, const ModelServer& server, std::string_view path, std::string_view grant,
                             Duration timeout, Done done)
    : done_(std::move(done)), deadline_(loop, [this] { conclude(fail(ErrorCode::kDeadlineExceeded, "no answer in time")); }) {
  // A connection of its own each time: whether one can be made is part of the question, and requests keep theirs.
  head_ = fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nAccept: application/json\r\nConnection: close\r\n", path, server.host);
  if (!server.authorization.empty()) head_ += fmt::format("Authorization: {}\r\n", server.authorization);
  if (!grant.empty()) head_ += fmt::format("{}: {}\r\n", codec::kInternalGrantField, grant);
  head_ += "\r\n";
  deadline_.set(timeout);
  sent_ = upstream.send(head_, {}, false, *this);
}

UpstreamProbe::~UpstreamProbe() {
  if (sent_ != nullptr) sent_->cancel();
}

void UpstreamProbe::on_body(std::string_view piece) {
  if (answer_.body.size() + piece.size() > kLongestBody)
    return conclude(fail(ErrorCode::kResourceExhausted, "the answer is over {} bytes", kLongestBody));
  answer_.body += piece;
}

void UpstreamProbe::on_end() {
  sent_ = nullptr;
  conclude(std::move(answer_));
}

void UpstreamProbe::on_error(http::OutboundFailure, const Error& error) {
  sent_ = nullptr;
  conclude(fail(error));
}

void UpstreamProbe::conclude(Result<ProbeAnswer> answer) {
  deadline_.clear();
  if (sent_ != nullptr) std::exchange(sent_, nullptr)->cancel();
  auto done = std::move(done_);
  done(std::move(answer));  // may destroy us
}

}  // namespace flexpert::gateway
