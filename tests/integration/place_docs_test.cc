// Every `flexpert place` command of docs/placement.md runs, in the order in which it stands there.
#include <filesystem>
#include <sstream>

#include <gtest/gtest.h>

#include "integration/place_files.h"

namespace flexpert::integration {
namespace {

/// Splits as a shell does, as far as the page needs it: single quotes.
std::vector<std::string> words_of(const std::string& line) {
  std::vector<std::string> words{""};
  bool quoted = false;
  for (const char c : line) {
    if (c == '\'')
      quoted = !quoted;
    else if (c == ' ' && !quoted)
      words.emplace_back();
    else
      words.back().push_back(c);
  }
  std::erase(words, "");
  return words;
}

/// The commands after "$ flexpert ", continued lines joined, those that need an engine left out.
std::vector<std::vector<std::string>> commands_of(const std::string& page) {
  std::vector<std::vector<std::string>> commands;
  std::stringstream lines(page);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("$ flexpert ")) continue;
    for (std::string more; line.ends_with('\\') && std::getline(lines, more);) line = line.substr(0, line.size() - 1) + more;
    line = line.substr(0, line.find(" #"));
    if (line.find("http://") == std::string::npos && line.find(" loads.json") == std::string::npos)
      commands.push_back(words_of(line.substr(11)));
  }
  return commands;
}

TEST(PlaceDocs, EveryCommandOfThePageRuns) {
  const PlaceFiles files;
  const auto commands = commands_of(read_file(FLEXPERT_SOURCE_DIR "/docs/placement.md"));
  ASSERT_GE(commands.size(), 10U);
  const std::filesystem::path home = std::filesystem::current_path();
  std::filesystem::create_directory_symlink(FLEXPERT_SOURCE_DIR "/data", files.at("data"));
  std::filesystem::current_path(files.folder.path());
  for (const auto& command : commands) {
    const Finished done = run_program(command);
    EXPECT_EQ(done.exit_code, 0) << testing::PrintToString(command) << "\n" << done.output;
  }
  std::filesystem::current_path(home);
}

}  // namespace
}  // namespace flexpert::integration
