#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "platform/adopted_process.h"
#include "platform/orchestrator.h"

namespace flexpert::platform {

/// What is written down of a process that may outlive its controller, so that the next one can take it over.
struct ProcessRecord {
  LaunchSpec spec;
  ProcessIdentity identity;
  bool ready = false;     ///< was ready when last seen
  bool stopping = false;  ///< was asked to go (SIGTERM)
  std::uint32_t restarts = 0;
};

std::string encode(const ProcessRecord& record);
/// Errors: kDataLoss.
Result<ProcessRecord> decode_process_record(const std::string& text);

/// The records in one folder, a file each, replaced at once: a reader sees the old one or the new one.
class ProcessRecords {
 public:
  /// `folder` exists; empty: nothing is kept.
  explicit ProcessRecords(std::string folder) : folder_(std::move(folder)) {}
  [[nodiscard]] bool kept() const { return !folder_.empty(); }
  [[nodiscard]] Result<void> write(const ProcessRecord& record) const;
  void remove(const InstanceId& id) const;
  /// Reads all records, by id. Files that cannot be read are removed and logged.
  [[nodiscard]] std::vector<ProcessRecord> read_all() const;

 private:
  [[nodiscard]] std::string path_of(const InstanceId& id) const;
  std::string folder_;
};

}  // namespace flexpert::platform
