#include "flexpert/runtime_folder.h"

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

#include <boost/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include "flexpert/files.h"

namespace flexpert::app {

namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

constexpr std::size_t kLongestSocketPath = 107;
constexpr std::string_view kLongestSocketName = "/expert-9999.metrics.sock";

fs::path base_folder() {
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  std::error_code error;
  if (runtime != nullptr && *runtime != '\0' && fs::is_directory(runtime, error)) return runtime;
  return "/tmp";
}

std::string prefix() { return "flexpert-" + std::to_string(getuid()) + "-"; }

bool is_alive(std::int64_t pid) { return pid > 0 && (kill(static_cast<pid_t>(pid), 0) == 0 || errno == EPERM); }

/// A folder in the base folder that an `up` of this user made, with the process id in its name.
struct Candidate {
  fs::path path;
  std::int64_t pid = 0;
};

std::vector<Candidate> candidates() {
  std::vector<Candidate> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(base_folder(), error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(prefix())) continue;
    const std::string_view digits = std::string_view(name).substr(prefix().size());
    std::int64_t pid = 0;
    const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), pid);
    struct stat status{};
    // Somebody else's folder or link of that name in a shared /tmp is none of ours.
    if (failed != std::errc() || end != digits.data() + digits.size() || lstat(entry.path().c_str(), &status) != 0) continue;
    if (S_ISDIR(status.st_mode) && status.st_uid == getuid()) found.push_back({entry.path(), pid});
  }
  return found;
}

void remove_folders_of_the_dead() {
  std::error_code error;
  for (const Candidate& candidate : candidates())
    if (!is_alive(candidate.pid)) fs::remove_all(candidate.path, error);
}

}  // namespace

Result<RuntimeFolder> RuntimeFolder::open(const std::string& configured) {
  remove_folders_of_the_dead();
  const std::string path = configured.empty() ? (base_folder() / (prefix() + std::to_string(getpid()))).string() : fs::absolute(configured).string();
  if (path.size() + kLongestSocketName.size() > kLongestSocketPath)
    return fail(ErrorCode::kInvalidArgument, "runtime folder's path is too long for Unix sockets ({} bytes at most); choose a shorter runtime_dir: {}",
                kLongestSocketPath - kLongestSocketName.size(), path);
  std::error_code error;
  if (configured.empty()) {
    if (mkdir(path.c_str(), 0700) != 0)
      return fail(ErrorCode::kUnavailable, "runtime folder cannot be made; choose another with runtime_dir: {}: {}", path, std::strerror(errno));
    return RuntimeFolder(path, true);
  }
  if (fs::create_directories(path, error)) fs::permissions(path, fs::perms::owner_all, error);
  if (error) return fail(ErrorCode::kUnavailable, "runtime folder cannot be made; choose another with runtime_dir: {}: {}", path, error.message());
  return RuntimeFolder(path, false);
}

RuntimeFolder::RuntimeFolder(RuntimeFolder&& other) noexcept : path_(std::move(other.path_)), temporary_(std::exchange(other.temporary_, false)) {}

RuntimeFolder::~RuntimeFolder() {
  std::error_code error;
  if (temporary_) fs::remove_all(path_, error);
}

std::string RuntimeFolder::file(const std::string& name) const { return (fs::path(path_) / name).string(); }

Result<void> write_state(const RuntimeFolder& folder, const FleetState& state) {
  const json::object root{{"pid", state.pid}, {"gateway", state.gateway}, {"controller", state.controller}, {"config", state.config}};
  return write_text_file(folder.file("state.json"), json::serialize(root) + "\n");
}

std::vector<FleetState> find_running_fleets() {
  std::vector<FleetState> fleets;
  for (const Candidate& candidate : candidates()) {
    if (!is_alive(candidate.pid)) continue;
    const auto text = read_text_file((candidate.path / "state.json").string());
    if (!text) continue;  // it is still starting
    boost::system::error_code error;
    const json::value root = json::parse(*text, error);
    if (error || !root.is_object()) continue;
    const auto field = [&](const char* name) {
      const json::value* value = root.get_object().if_contains(name);
      return value != nullptr && value->is_string() ? std::string(value->get_string().c_str()) : std::string();
    };
    fleets.push_back({candidate.pid, field("gateway"), field("controller"), field("config")});
  }
  return fleets;
}

}  // namespace flexpert::app
