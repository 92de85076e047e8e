#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace flexpert::store {

/// A file of JSON documents in the order written: the decisions of a controller. What append() has returned for
/// survives kill -9 of this process (a crash of the machine may cost the newest rows). Used by one thread at a time;
/// several processes may read while one writes.
class Journal {
 public:
  /// Opens `path`, made if it is not there. Errors: kFailedPrecondition if the file is not a journal of ours or of a
  /// newer version; kUnavailable if it cannot be opened.
  static Result<std::unique_ptr<Journal>> open(const std::string& path);
  virtual ~Journal() = default;
  /// Adds one document. `unix_ms` is its time, for people who read the file with other tools.
  virtual Result<void> append(std::int64_t unix_ms, std::string_view json) = 0;
  /// Returns the newest `limit` documents, newest first.
  [[nodiscard]] virtual Result<std::vector<std::string>> newest(std::size_t limit) = 0;
};

}  // namespace flexpert::store
