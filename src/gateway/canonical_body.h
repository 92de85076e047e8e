#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace flexpert::gateway {

/// Writes a request's body in a form that does not depend on the order of keys, on white space or on how strings are escaped, for
/// the key of a cache. Numbers are the same if they are whole and equal, or fractions of equal value: 1 and 1.0 differ, since an
/// engine may take one and refuse the other. `user` and `metadata` (texts only), and a `stream` that is false, are left out: they
/// cannot change an answer. Keeps its buffers; one thread.
class CanonicalBody {
 public:
  static constexpr int kMaxDepth = 64;

  CanonicalBody();
  ~CanonicalBody();
  /// Writes `body` into `out`. Returns nothing if an answer to it is the same whenever it is computed: completions with
  /// `temperature` 0, one choice, no stream, and no tools, functions, web search, audio or stored conversation; embeddings always.
  /// Otherwise why it is not (static text), and `out` means nothing.
  std::string_view write(std::string_view path, std::string_view body, std::string& out);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace flexpert::gateway
