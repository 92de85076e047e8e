#include "config/yaml_tree.h"

#include <cerrno>
#include <cstring>
#include <exception>
#include <fstream>
#include <optional>
#include <sstream>

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

namespace flexpert::config {
namespace {

/// Builds the tree from yaml-cpp's events. After the first problem it ignores the rest of the document.
class TreeBuilder final : public YAML::EventHandler {
 public:
  struct Problem {
    int line = 1;
    std::string what;
  };

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) problem(mark, "a second document begins; allowed: one document a file");
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override { add(mark, {}); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    problem(mark, "an alias is given; allowed: the value itself, written out");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t, const std::string& value) override {
    if (problem_) return;
    if (!open_.empty() && open_.back().node.kind == YamlNode::Kind::kMapping && !open_.back().has_key) {
      Open& mapping = open_.back();
      for (const YamlNode::Entry& entry : mapping.node.entries)
        if (entry.key == value)
          return problem(mark, fmt::format("the key \"{}\" is given twice, first on line {}; allowed: each key once", value, entry.line));
      mapping.has_key = true;
      mapping.key = value;
      mapping.key_line = line_of(mark);
      return;
    }
    YamlNode node;
    node.kind = tag == "?" && value.empty() ? YamlNode::Kind::kNull : YamlNode::Kind::kScalar;
    node.text = value;
    node.quoted = tag != "?";
    add(mark, std::move(node));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
    open(mark, YamlNode::Kind::kSequence);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
    open(mark, YamlNode::Kind::kMapping);
  }
  void OnMapEnd() override { close(); }

  [[nodiscard]] const std::optional<Problem>& found_problem() const { return problem_; }
  [[nodiscard]] YamlNode take_root() { return std::move(root_); }

 private:
  struct Open {
    YamlNode node;
    bool has_key = false;
    std::string key;
    int key_line = 1;
  };

  // yaml-cpp marks nodes that are not there with line -1.
  static int line_of(const YAML::Mark& mark) { return mark.line < 0 ? 1 : mark.line + 1; }

  void problem(const YAML::Mark& mark, std::string what) {
    if (!problem_) problem_ = Problem{line_of(mark), std::move(what)};
  }

  bool key_is_wanted() const { return !open_.empty() && open_.back().node.kind == YamlNode::Kind::kMapping && !open_.back().has_key; }

  void add(const YAML::Mark& mark, YamlNode node) {
    if (problem_) return;
    if (key_is_wanted()) return problem(mark, "a key is empty; allowed: text");
    node.line = mark.line < 0 && !open_.empty() ? open_.back().key_line : line_of(mark);
    place(std::move(node));
  }

  void open(const YAML::Mark& mark, YamlNode::Kind kind) {
    if (problem_) return;
    if (key_is_wanted()) return problem(mark, "a key is a list or a mapping; allowed: text");
    if (open_.size() >= static_cast<std::size_t>(kMaxConfigDepth))
      return problem(mark, fmt::format("lists and mappings are nested too deeply; allowed: {} levels", kMaxConfigDepth));
    Open opened;
    opened.node.kind = kind;
    opened.node.line = line_of(mark);
    open_.push_back(std::move(opened));
  }

  void close() {
    if (problem_ || open_.empty()) return;
    YamlNode node = std::move(open_.back().node);
    open_.pop_back();
    place(std::move(node));
  }

  void place(YamlNode node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& parent = open_.back();
    if (parent.node.kind == YamlNode::Kind::kSequence) {
      parent.node.items.push_back(std::move(node));
    } else {
      parent.node.entries.push_back({std::move(parent.key), parent.key_line, std::move(node)});
      parent.has_key = false;
    }
  }

  int documents_ = 0;
  std::optional<Problem> problem_;
  YamlNode root_;
  std::vector<Open> open_;
};

}  // namespace

std::string YamlNode::describe() const {
  switch (kind) {
    case Kind::kNull: return "nothing";
    case Kind::kSequence: return "a list";
    case Kind::kMapping: return "a mapping";
    case Kind::kScalar: break;
  }
  constexpr std::size_t kShown = 60;
  std::string shown;
  for (const char c : text.substr(0, kShown)) shown += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  if (text.size() > kShown) shown += "...";
  return quoted || shown.empty() ? '"' + shown + '"' : shown;
}

Result<YamlNode> parse_yaml(const std::string& text, const std::string& source) {
  if (text.size() > kMaxConfigBytes)
    return fail(ErrorCode::kInvalidArgument, "{}:1: the file has {} bytes; allowed: at most {}", source, text.size(), kMaxConfigBytes);
  if (const auto zero = text.find('\0'); zero != std::string::npos)
    return fail(ErrorCode::kInvalidArgument, "{}:1: byte {} is zero; allowed: YAML text in UTF-8", source, zero);
  TreeBuilder builder;
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    while (!builder.found_problem() && parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& error) {
    return fail(ErrorCode::kInvalidArgument, "{}:{}: not valid YAML: {}; allowed: YAML 1.2, see docs/reference/configuration.md", source,
                error.mark.line < 0 ? 1 : error.mark.line + 1, error.msg);
  } catch (const std::exception& error) {
    return fail(ErrorCode::kInvalidArgument, "{}:1: not valid YAML: {}; allowed: YAML 1.2, see docs/reference/configuration.md", source,
                error.what());
  }
  if (const auto& problem = builder.found_problem())
    return fail(ErrorCode::kInvalidArgument, "{}:{}: {}", source, problem->line, problem->what);
  return builder.take_root();
}

Result<std::string> read_yaml_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(ErrorCode::kNotFound, "{}: the configuration cannot be opened: {}", path, std::strerror(errno));
  // One byte over the limit is enough to know that the file is too large.
  std::string text(kMaxConfigBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad() || (file.gcount() == 0 && !file.eof()))
    return fail(ErrorCode::kInvalidArgument, "{}: the configuration cannot be read: {}", path, std::strerror(errno));
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

}  // namespace flexpert::config
