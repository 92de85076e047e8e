#pragma once

#include <string>
#include <vector>

#include "integration/test_fleet.h"

namespace flexpert::integration {

/// DeepSeek EPLB's own example, as inline JSON.
inline const std::string kGoldenCounts =
    "{\"logical_count\": [[90,132,40,61,104,165,39,4,73,56,183,86],[20,107,104,64,19,197,187,157,172,86,16,27]]}";

/// Two loads of one model of 3 layers x 16 experts, in files of a folder that goes with the test.
struct PlaceFiles {
  TemporaryFolder folder;
  std::string loads;
  std::string later;

  PlaceFiles();
  [[nodiscard]] std::string at(const std::string& name) const { return folder.path() + "/" + name; }
  std::string write(const std::string& name, const std::string& text) const { return folder.write(name, text); }
  /// Writes a routing file of two topics and its index; returns its path.
  [[nodiscard]] std::string routing() const;
};

/// Runs `flexpert place` with these arguments.
Finished place(std::vector<std::string> arguments);

}  // namespace flexpert::integration
