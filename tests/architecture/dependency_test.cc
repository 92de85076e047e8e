// Holds the tree to the module table in ARCHITECTURE.md: an #include that the table does not allow fails here, and so do
// clocks, threads, files and logging inside a pure module, and coroutines anywhere.
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace {

namespace fs = std::filesystem;

struct Module {
  bool pure = false;
  std::set<std::string> may_include;
};

std::string read(const fs::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

const fs::path kRoot = FLEXPERT_SOURCE_DIR;

/// Reads rows of the form | `name` **pure** | what it holds | may also include |
std::map<std::string, Module> module_table() {
  std::map<std::string, Module> modules;
  std::stringstream text(read(kRoot / "ARCHITECTURE.md"));
  const std::regex words("[a-z_]+");
  const std::regex row(R"(^\| `([a-z_]+)`( \*\*pure\*\*)? \| (.*) \|([^|]*)\|$)");
  for (std::string line; std::getline(text, line);) {
    std::smatch match;
    if (!std::regex_match(line, match, row)) continue;
    Module module{.pure = match[2].matched, .may_include = {"base", "fleet", match[1]}};
    const std::string allowed = match[4];
    for (std::sregex_iterator word(allowed.begin(), allowed.end(), words), end; word != end; ++word)
      module.may_include.insert(word->str());
    modules[match[1]] = module;
  }
  for (auto& [name, module] : modules) {
    if (!module.may_include.contains("pure")) continue;
    for (const auto& [other, other_module] : modules)
      if (other_module.pure) module.may_include.insert(other);
  }
  // base is pure, and includes nothing but itself.
  modules["base"].may_include = {"base"};
  modules["fleet"].may_include = {"base", "fleet"};
  modules["fleet"].pure = true;
  return modules;
}

struct Source {
  fs::path path;
  std::string module;
  bool test = false;
  std::string text;
};

std::vector<Source> sources() {
  std::vector<Source> found;
  for (const auto& entry : fs::recursive_directory_iterator(kRoot / "src")) {
    const fs::path path = entry.path();
    if (path.extension() != ".h" && path.extension() != ".cc") continue;
    const fs::path relative = fs::relative(path, kRoot / "src");
    const std::string text = relative.string();
    const bool test = text.find("/tests/") != std::string::npos || text.find("/fuzz/") != std::string::npos;
    found.push_back({path, relative.begin()->string(), test, read(path)});
  }
  return found;
}

TEST(Architecture, EveryModuleIsInTheTableAndHasAReadme) {
  const auto modules = module_table();
  ASSERT_GT(modules.size(), 15U) << "the module table of ARCHITECTURE.md was not found";
  for (const auto& entry : fs::directory_iterator(kRoot / "src")) {
    const std::string name = entry.path().filename().string();
    EXPECT_TRUE(modules.contains(name)) << "src/" << name << " is not in the module table of ARCHITECTURE.md";
    EXPECT_TRUE(fs::exists(entry.path() / "README.md")) << "src/" << name << " has no README.md";
  }
}

TEST(Architecture, IncludesFollowTheModuleTable) {
  const auto modules = module_table();
  const std::regex include(R"(#include "([a-z_]+)/)");
  for (const Source& source : sources()) {
    const auto module = modules.find(source.module);
    if (module == modules.end()) continue;
    for (std::sregex_iterator match(source.text.begin(), source.text.end(), include), end; match != end; ++match) {
      const std::string included = (*match)[1];
      EXPECT_TRUE(module->second.may_include.contains(included))
          << source.path.string() << " includes " << included << "/, which ARCHITECTURE.md does not allow to " << source.module;
    }
  }
}

TEST(Architecture, PureModulesHaveNoClockThreadFileOrLog) {
  const auto modules = module_table();
  const std::regex banned(R"(#include <(thread|mutex|iostream|fstream|unistd\.h|sys/[a-z]+\.h)>|::now\(\)|\brand\(|getenv|base/log\.h|base/mutex\.h)");
  for (const Source& source : sources()) {
    const auto module = modules.find(source.module);
    if (module == modules.end() || !module->second.pure || source.test) continue;
    std::smatch match;
    EXPECT_FALSE(std::regex_search(source.text, match, banned)) << source.path.string() << " is in a pure module and has: " << match.str();
  }
}

TEST(Architecture, NoCoroutines) {
  // g++ 12.2 destroys objects twice in common co_await patterns.
  const std::regex banned(R"(\bco_(await|yield|return)\b)");
  for (const Source& source : sources()) EXPECT_FALSE(std::regex_search(source.text, banned)) << source.path.string();
}

}  // namespace
