#include "gateway/body_splice.h"

#include <algorithm>
#include <charconv>

#include "base/check.h"
#include "codec/json_text.h"

namespace flexpert::gateway {
namespace {

/// Tells whether a value of max_tokens is a whole number that is not over `cap`.
bool within(std::string_view token, std::uint64_t cap) {
  std::uint64_t value = 0;
  const auto [end, failed] = std::from_chars(token.data(), token.data() + token.size(), value);
  return failed == std::errc() && end == token.data() + token.size() && value <= cap;
}

}  // namespace

void BodySplice::reset(std::string_view body) {
  body_ = body;
  edits_ = 0;
}

std::string& BodySplice::add(JsonRange at) {
  FLEXPERT_CHECK(edits_ < kMaxEdits, "more edits than there are fields");
  Edit& edit = edit_[edits_++];
  edit.at = at;
  edit.text.clear();
  return edit.text;
}

void BodySplice::cap_max_tokens(const ScannedRequest& scanned, std::uint64_t cap) {
  bool there = false;
  for (const JsonRange at : {scanned.max_tokens_at, scanned.max_completion_tokens_at}) {
    if (!at.there()) continue;
    there = true;
    if (!within(at.in(body_), cap)) add(at) = std::to_string(cap);
  }
  if (!there) add({scanned.first_key, scanned.first_key}) = fmt::format("\"max_tokens\":{},", cap);
}

void BodySplice::replace_model(const ScannedRequest& scanned, std::string_view model) { codec::append_json_string(add(scanned.model_at), model); }

std::span<const std::string_view> BodySplice::parts() {
  std::sort(edit_.begin(), edit_.begin() + static_cast<std::ptrdiff_t>(edits_), [](const Edit& a, const Edit& b) { return a.at.begin < b.at.begin; });
  std::size_t count = 0;
  std::size_t done = 0;
  const auto add_part = [&](std::string_view part) {
    if (!part.empty()) parts_[count++] = part;
  };
  for (std::size_t i = 0; i < edits_; ++i) {
    add_part(body_.substr(done, edit_[i].at.begin - done));
    add_part(edit_[i].text);
    done = edit_[i].at.end;
  }
  add_part(body_.substr(done));
  return {parts_.data(), count};
}

std::size_t BodySplice::size() const {
  std::size_t size = body_.size();
  for (std::size_t i = 0; i < edits_; ++i) size += edit_[i].text.size() - (edit_[i].at.end - edit_[i].at.begin);
  return size;
}

}  // namespace flexpert::gateway
