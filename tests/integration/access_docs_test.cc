// What docs/reference/access.md and examples/ show is what the program takes.
#include <filesystem>
#include <sstream>

#include <gtest/gtest.h>

#include "config/fleet_config.h"
#include "config/key_records.h"
#include "config/policy_reader.h"
#include "integration/test_fleet.h"

namespace flexpert::integration {
namespace {

namespace fs = std::filesystem;

const fs::path kRoot = FLEXPERT_SOURCE_DIR;

std::vector<std::string> yaml_blocks(const fs::path& page) {
  std::vector<std::string> blocks;
  std::istringstream text(read_file(page.string()));
  bool inside = false;
  for (std::string line; std::getline(text, line);) {
    if (line == "```yaml") {
      inside = true;
      blocks.emplace_back();
    } else if (line == "```") {
      inside = false;
    } else if (inside) {
      blocks.back() += line + "\n";
    }
  }
  return blocks;
}

/// The folder from which the examples are meant to be run.
class FromRoot {
 public:
  FromRoot() : before_(fs::current_path()) { fs::current_path(kRoot); }
  ~FromRoot() { fs::current_path(before_); }

 private:
  fs::path before_;
};

TEST(AccessDocs, EveryYamlBlockOfThePageIsTaken) {
  const auto blocks = yaml_blocks(kRoot / "docs/reference/access.md");
  EXPECT_GE(blocks.size(), 3U);
  for (const std::string& block : blocks) {
    std::string problem;
    if (block.starts_with("keys:")) {
      if (const auto read = config::parse_key_records(block, "access.md"); !read) problem = read.error().message;
    } else if (block.starts_with("access:")) {
      if (const auto read = config::parse(block + "upstreams: [{url: 'http://h:1'}]\n", "access.md"); !read) problem = read.error().message;
    } else if (const auto read = config::parse_policy(block, "access.md"); !read) {
      problem = read.error().message;
    }
    EXPECT_EQ(problem, "") << block;
  }
}

TEST(AccessDocs, CheckAcceptsEveryExample) {
  const FromRoot root;
  std::size_t checked = 0;
  for (const auto& entry : fs::directory_iterator("examples")) {
    if (entry.path().extension() != ".yaml" || entry.path().stem().string().ends_with("-policy")) continue;
    const Finished finished = run_program({"check", "-c", entry.path().string()});
    EXPECT_EQ(finished.exit_code, 0) << finished.output;
    EXPECT_EQ(finished.output.find("callers         nobody"), std::string::npos) << entry.path();
    ++checked;
  }
  EXPECT_GE(checked, 4U);
}

TEST(AccessDocs, CheckSaysWhenNobodyCanComeIn) {
  const TemporaryFolder folder;
  const Finished finished = run_program({"check", "-c", folder.write("closed.yaml", "upstreams: [{url: 'http://127.0.0.1:1'}]\n")});
  EXPECT_EQ(finished.exit_code, 0);
  EXPECT_NE(finished.output.find("callers         nobody"), std::string::npos) << finished.output;
}

TEST(AccessDocs, CheckRefusesAPolicyForExpertsThatTheModelDoesNotHave) {
  const TemporaryFolder folder;
  const std::string config =
      folder.write("fleet.yaml", "model: {path: " + (kRoot / "models/flexpert-tiny-moe").string() +
                                     "}\naccess: {policy: {expert_groups: [{name: X, model: flexpert-tiny-moe, slots: [[0, 32]]}]}}\n");
  const Finished finished = run_program({"check", "-c", config});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_NE(finished.output.find("X: [0, 32]"), std::string::npos) << finished.output;
}

/// Every key that the readers know stands in the reference: a key that is added without its documentation fails here.
TEST(AccessDocs, EveryFieldOfTheProxyIsInTheReference) {
  const std::string page =
      read_file((kRoot / "docs/reference/configuration.md").string()) + read_file((kRoot / "docs/reference/access.md").string());
  for (const char* section :
       {"gateway", "gateway.limits", "gateway.admission", "gateway.cache", "gateway.routing", "gateway.log", "gateway.tls", "access"}) {
    std::string text = "zzzz: 1";
    std::string path = section;
    for (std::size_t dot = 0; dot != std::string::npos;) {
      dot = path.rfind('.');
      text = path.substr(dot == std::string::npos ? 0 : dot + 1) + ": {" + text + "}";
      if (dot != std::string::npos) path.resize(dot);
    }
    const auto read = config::parse("upstreams: [{url: 'http://h:1'}]\n" + text + "\n", "f.yaml");
    ASSERT_FALSE(read);
    const std::string& message = read.error().message;
    const std::size_t unknown = message.find(".zzzz: unknown key");
    ASSERT_NE(unknown, std::string::npos) << message;
    std::istringstream keys(
        message.substr(message.find("allowed: ", unknown) + 9, message.find('\n', unknown) - message.find("allowed: ", unknown) - 9));
    for (std::string key; std::getline(keys >> std::ws, key, ',');)
      EXPECT_TRUE(page.find("`" + key) != std::string::npos || page.find("." + key) != std::string::npos)
          << section << "." << key << " is not documented";
  }
}

}  // namespace
}  // namespace flexpert::integration
