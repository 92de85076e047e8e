#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace flexpert::app {

/// The folder of one running fleet: sockets, logs, journal, state.json. Without a configured path it is
/// $XDG_RUNTIME_DIR/flexpert-UID-PID (or under /tmp), and is removed with everything in it when this object goes; such
/// folders of processes that died are removed by the next fleet. A configured folder is kept.
class RuntimeFolder {
 public:
  /// Makes the folder (mode 0700) if it is missing. Errors: it cannot be made, or its path is too long for Unix sockets.
  static Result<RuntimeFolder> open(const std::string& configured);
  ~RuntimeFolder();
  RuntimeFolder(RuntimeFolder&& other) noexcept;
  RuntimeFolder& operator=(RuntimeFolder&&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  /// Returns PATH/name, or `name` itself if it is absolute.
  [[nodiscard]] std::string file(const std::string& name) const;

 private:
  RuntimeFolder(std::string path, bool temporary) : path_(std::move(path)), temporary_(temporary) {}
  std::string path_;
  bool temporary_ = false;
};

/// What state.json says about a running fleet.
struct FleetState {
  std::int64_t pid = 0;
  std::string gateway;     ///< address
  std::string controller;  ///< address
  std::string config;
};

Result<void> write_state(const RuntimeFolder& folder, const FleetState& state);
/// Finds the fleets of this user that run now, by the state files in the default places.
std::vector<FleetState> find_running_fleets();

}  // namespace flexpert::app
