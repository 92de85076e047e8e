#include "engine/serve/pack_cache.h"

#include <unistd.h>

#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include <fmt/format.h>

#include "base/log.h"
#include "engine/kernels/kernels.h"

namespace flexpert::engine {
namespace {

namespace fs = std::filesystem;

Result<std::shared_ptr<const PackFile>> open_matching(const Checkpoint& checkpoint, const std::string& path) {
  FLEXPERT_ASSIGN(std::shared_ptr<const PackFile> pack, PackFile::open(path));
  if (pack->model_fingerprint() != checkpoint.fingerprint())
    return fail(ErrorCode::kFailedPrecondition, "pack file is of another model; make it anew with `flexpert pack`: {} has fingerprint {}, the model {} has {}",
                path, pack->model_fingerprint(), checkpoint.folder(), checkpoint.fingerprint());
  return pack;
}

}  // namespace

Result<std::string> default_cache_folder() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache == '/') return fmt::format("{}/flexpert", cache);
  if (const char* home = std::getenv("HOME"); home != nullptr && *home == '/') return fmt::format("{}/.cache/flexpert", home);
  return fail(ErrorCode::kFailedPrecondition, "no place for the pack cache: set HOME or XDG_CACHE_HOME, or name a pack file");
}

std::string cached_pack_path(const Checkpoint& checkpoint, const std::string& cache_folder) {
  std::string kernel;
  for (const char c : kernel_identity()) kernel += std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '-' ? c : '_';
  return fmt::format("{}/{}-{}.pack", cache_folder, checkpoint.fingerprint(), kernel);
}

Result<std::shared_ptr<const PackFile>> open_pack(const Checkpoint& checkpoint, const std::string& pack_path, const std::string& cache_folder) {
  if (!pack_path.empty()) return open_matching(checkpoint, pack_path);

  std::string folder = cache_folder;
  if (folder.empty()) {
    FLEXPERT_ASSIGN(folder, default_cache_folder());
  }
  const std::string path = cached_pack_path(checkpoint, folder);
  std::error_code error;
  if (fs::exists(path, error)) {
    auto pack = open_matching(checkpoint, path);
    if (pack) return pack;
    log::warn("cached pack file is unusable and is made anew: {}", pack.error().message);
  }
  fs::create_directories(folder, error);
  if (error) return fail(ErrorCode::kFailedPrecondition, "cannot make the cache folder: {}: {}", folder, error.message());

  log::info("packing the experts of {} into {}", checkpoint.folder(), path);
  const std::string own = fmt::format("{}.{}", path, ::getpid());
  FLEXPERT_TRY(write_pack(checkpoint, own, [](std::size_t, std::size_t) {}));
  fs::rename(own, path, error);
  if (error) {
    const std::string reason = error.message();
    fs::remove(own, error);
    return fail(ErrorCode::kFailedPrecondition, "cannot rename the new pack file: {}: {}", path, reason);
  }
  return open_matching(checkpoint, path);
}

}  // namespace flexpert::engine
