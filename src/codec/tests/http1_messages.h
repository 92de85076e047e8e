#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "codec/http1_view.h"

namespace flexpert::codec {

/// Reads messages one after the other with Http1HeadReader and Http1BodyReader, as a connection does: next() and finish() as
/// those of the reference parser. `View` is Http1RequestView or Http1ResponseView.
template <class View>
class Http1Messages {
 public:
  explicit Http1Messages(Http1Limits limits = {}) : head_reader_(limits), body_reader_(limits) {}
  void set_answers_head(bool answers_head) { answers_head_ = answers_head; }

  Http1Step next(std::string_view input) {
    if (failed_) return {.event = Http1Event::kError};
    return in_body_ ? step_body(input) : step_head(input);
  }
  Http1Event finish() {
    if (failed_) return Http1Event::kError;
    if (!in_body_ && !in_message()) return Http1Event::kNeedMore;
    if (in_body_ && body_reader_.finish() == Http1Event::kEnd) {
      in_body_ = false;
      closing_ = true;
      buffer_.clear();
      return Http1Event::kEnd;
    }
    return refuse({400, "the connection ended inside a message"}).event;
  }
  [[nodiscard]] const Http1Error& error() const { return error_; }
  [[nodiscard]] bool in_message() const { return in_body_ || !(buffer_.empty() || buffer_ == "\r\n"); }
  [[nodiscard]] const View& head() const { return head_; }

 private:
  Http1Step refuse(Http1Error error) {
    error_ = std::move(error);
    failed_ = true;
    return {.event = Http1Event::kError};
  }
  Http1HeadOutcome read() {
    if constexpr (requires { head_.status; }) return head_reader_.read(buffer_, head_, answers_head_);
    else return head_reader_.read(buffer_, head_);
  }
  Http1Step step_head(std::string_view input) {
    if (input.empty()) return {};
    if (closing_) return refuse({400, "data after a message that said it was the last of its connection"});
    const std::size_t before = buffer_.size();
    buffer_.append(input);
    switch (read()) {
      case Http1HeadOutcome::kNeedMore: return {.event = Http1Event::kNeedMore, .consumed = input.size()};
      case Http1HeadOutcome::kError: return refuse(head_reader_.error());
      case Http1HeadOutcome::kHead: break;
    }
    head_reader_.reset();
    body_reader_.begin(head_.framing, head_.content_length);
    closing_ = !head_.keep_alive;
    in_body_ = true;
    return {.event = Http1Event::kHead, .consumed = head_.size - before};
  }
  Http1Step step_body(std::string_view input) {
    const Http1Step step = body_reader_.next(input);
    if (step.event == Http1Event::kError) return refuse(body_reader_.error());
    if (step.event == Http1Event::kEnd) {
      in_body_ = false;
      buffer_.clear();
    }
    return step;
  }

  Http1HeadReader head_reader_;
  Http1BodyReader body_reader_;
  View head_;
  Http1Error error_;
  std::string buffer_;  ///< the head, as far as it has come; the views of head_ point into it
  bool in_body_ = false;
  bool closing_ = false;
  bool failed_ = false;
  bool answers_head_ = false;
};

using Http1RequestMessages = Http1Messages<Http1RequestView>;
using Http1ResponseMessages = Http1Messages<Http1ResponseView>;

}  // namespace flexpert::codec
