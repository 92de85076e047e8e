#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

/// What a planner's journal holds beside its cycles.
namespace flexpert::codec {

/// From here on the cycles of a journal can be replayed: the configuration and everything that the planner remembered.
/// Written when a controller starts ("start"), when its configuration changes, and now and then ("checkpoint"), so that old
/// records can go.
struct JournalStart {
  std::string version;        ///< of the program that wrote it
  std::string config_source;  ///< the configuration's file, for messages and relative paths
  std::string config_text;    ///< all of it, as YAML
  std::string planner_state;  ///< PoolPlanner::save(); empty: as new

  bool operator==(const JournalStart&) const = default;
};
std::string encode(const JournalStart& start);
/// Errors: kDataLoss naming the field.
Result<JournalStart> decode_journal_start(std::string_view json);

/// Names a configuration in few letters (FNV-1a, 64 bits, in hex).
std::string config_hash(std::string_view config_text);

}  // namespace flexpert::codec
