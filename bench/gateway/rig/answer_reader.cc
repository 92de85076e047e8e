#include "rig/answer_reader.h"

#include <strings.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace flexpert::bench {
namespace {

/// Returns the value of a field of a head, empty if it is not there. Names without case.
std::string_view field(const std::string& head, std::string_view name) {
  for (std::size_t at = head.find("\r\n"); at != std::string::npos && at + 2 < head.size(); at = head.find("\r\n", at + 2)) {
    const std::size_t begin = at + 2;
    if (head.size() - begin <= name.size() || head[begin + name.size()] != ':') continue;
    if (::strncasecmp(head.data() + begin, name.data(), name.size()) != 0) continue;
    std::string_view value = std::string_view(head).substr(begin + name.size() + 1);
    value = value.substr(0, value.find("\r\n"));
    value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
    return value;
  }
  return {};
}

}  // namespace

void AnswerReader::reset() {
  head_.clear();
  in_body_ = stream_ = done_ = error_ = false;
  status_ = 0;
  left_ = events_ = 0;
  chunk_ = Chunk::kSize;
  chunk_line_.clear();
  partial_event_.clear();
  beginning_.clear();
}

AnswerReader::Step AnswerReader::take(std::string_view bytes, EventSink* sink) {
  if (!in_body_) {
    const std::size_t before = head_.size();
    head_.append(bytes);
    const std::size_t end = head_.find("\r\n\r\n", before < 3 ? 0 : before - 3);
    if (end == std::string::npos) return head_.size() < 64 * 1024 ? Step::kMore : Step::kBroken;
    bytes.remove_prefix(end + 4 - before);
    head_.resize(end + 4);
    if (!take_head()) return Step::kBroken;
    in_body_ = true;
  }
  if (framing_ == Framing::kChunked) return take_chunks(bytes, sink);
  if (framing_ == Framing::kUntilClose) {
    take_body(bytes, sink);
    return Step::kMore;
  }
  if (bytes.size() > left_) return Step::kBroken;
  take_body(bytes, sink);
  left_ -= bytes.size();
  return left_ == 0 ? Step::kDone : Step::kMore;
}

bool AnswerReader::take_head() {
  if (!head_.starts_with("HTTP/1.") || head_.size() < 12) return false;
  status_ = std::atoi(head_.c_str() + 9);
  stream_ = field(head_, "content-type").starts_with("text/event-stream");
  closes_ = field(head_, "connection") == "close";
  const std::string_view length = field(head_, "content-length");
  if (field(head_, "transfer-encoding") == "chunked") {
    framing_ = Framing::kChunked;
  } else if (!length.empty()) {
    framing_ = Framing::kLength;
    left_ = std::strtoull(length.data(), nullptr, 10);
  } else {
    framing_ = Framing::kUntilClose;
  }
  return status_ >= 200;
}

AnswerReader::Step AnswerReader::take_chunks(std::string_view bytes, EventSink* sink) {
  while (!bytes.empty()) {
    if (chunk_ == Chunk::kData) {
      const std::size_t count = std::min<std::uint64_t>(left_, bytes.size());
      take_body(bytes.substr(0, count), sink);
      bytes.remove_prefix(count);
      left_ -= count;
      if (left_ == 0) chunk_ = Chunk::kDataEnd;
      continue;
    }
    const std::size_t end = bytes.find('\n');
    chunk_line_.append(bytes.substr(0, end));
    if (end == std::string_view::npos) return chunk_line_.size() < 1024 ? Step::kMore : Step::kBroken;
    bytes.remove_prefix(end + 1);
    if (chunk_line_.empty() || chunk_line_.back() != '\r') return Step::kBroken;
    if (chunk_ == Chunk::kSize) {
      left_ = std::strtoull(chunk_line_.c_str(), nullptr, 16);
      chunk_ = left_ == 0 ? Chunk::kTrailer : Chunk::kData;
    } else if (chunk_ == Chunk::kDataEnd) {
      if (chunk_line_.size() != 1) return Step::kBroken;
      chunk_ = Chunk::kSize;
    } else if (chunk_line_.size() == 1) {
      return bytes.empty() ? Step::kDone : Step::kBroken;
    }
    chunk_line_.clear();
  }
  return Step::kMore;
}

void AnswerReader::take_body(std::string_view bytes, EventSink* sink) {
  if (!stream_) {
    if (beginning_.size() < 300) beginning_.append(bytes.substr(0, 300));
    return;
  }
  if (!partial_event_.empty()) {
    partial_event_.append(bytes);
    const std::string text = std::exchange(partial_event_, {});
    return take_events(text, sink);
  }
  take_events(bytes, sink);
}

void AnswerReader::take_events(std::string_view text, EventSink* sink) {
  while (true) {
    const std::size_t end = text.find("\n\n");
    if (end == std::string_view::npos) break;
    const std::string_view event = text.substr(0, end);
    text.remove_prefix(end + 2);
    if (event.starts_with(':') || event.empty()) continue;
    if (event == "data: [DONE]") {
      done_ = true;
      continue;
    }
    if (event.starts_with("data: {\"error\"")) error_ = true;
    const std::size_t at = event.find("\"t\":");
    if (at == std::string_view::npos || at + 24 > event.size()) continue;
    ++events_;
    if (sink != nullptr) sink->on_event(std::strtoll(event.data() + at + 4, nullptr, 10));
  }
  partial_event_.assign(text);
}

}  // namespace flexpert::bench
