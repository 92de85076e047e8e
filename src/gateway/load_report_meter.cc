#include "gateway/load_report_meter.h"

namespace flexpert::gateway {
namespace {

constexpr std::uint64_t kMostTokens = 1'000'000'000;

}  // namespace

AnswerMeter::Key AnswerMeter::key() const {
  const std::string_view name(name_.data(), name_size_);
  if (name == "content" || name == "text" || name == "reasoning_content" || name == "arguments") return Key::kText;
  if (name == "prompt_tokens") return Key::kPrompt;
  if (name == "completion_tokens") return Key::kCompletion;
  return Key::kOther;
}

void AnswerMeter::end_number() {
  (key_ == Key::kPrompt ? prompt_ : completion_) = number_;
}

void AnswerMeter::feed(std::string_view bytes) {
  for (const char c : bytes) {
    if (c == '\n') {  // no string goes on over a line's end: an event that is broken spoils no other
      if (state_ == State::kNumber) end_number();
      state_ = State::kBetween;
      continue;
    }
    switch (state_) {
      case State::kTextBegin:
        if (c != '"') ++pieces_;
        name_size_ = 0;
        state_ = c == '"' ? State::kAfterString : c == '\\' ? State::kEscape : State::kString;
        break;
      case State::kString:
        if (c == '\\') {
          state_ = State::kEscape;
          name_size_ = name_.size() + 1;  // no key of ours has an escape
        } else if (c == '"') {
          state_ = State::kAfterString;
        } else if (name_size_ < name_.size()) {
          name_[name_size_++] = c;
        } else {
          name_size_ = name_.size() + 1;
        }
        break;
      case State::kEscape: state_ = State::kString; break;
      case State::kAfterString:
        if (c == ' ' || c == '\t') break;
        key_ = c == ':' && name_size_ <= name_.size() ? key() : Key::kOther;
        state_ = key_ == Key::kOther ? State::kBetween : State::kValue;
        break;
      case State::kValue:
        if (c == ' ' || c == '\t') break;
        if (c == '"' && key_ == Key::kText) {
          state_ = State::kTextBegin;
        } else if (c >= '0' && c <= '9' && key_ != Key::kText) {
          number_ = static_cast<std::uint64_t>(c - '0');
          state_ = State::kNumber;
        } else {
          name_size_ = 0;
          state_ = c == '"' ? State::kString : State::kBetween;
        }
        break;
      case State::kNumber:
        if (c >= '0' && c <= '9') {
          if (number_ < kMostTokens) number_ = number_ * 10 + static_cast<std::uint64_t>(c - '0');
          break;
        }
        end_number();
        name_size_ = 0;
        state_ = c == '"' ? State::kString : State::kBetween;
        break;
      case State::kBetween:
        if (c != '"') break;
        name_size_ = 0;
        state_ = State::kString;
        break;
    }
  }
}

}  // namespace flexpert::gateway
