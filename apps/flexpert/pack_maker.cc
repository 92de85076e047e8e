#include "flexpert/pack_maker.h"

#include <chrono>
#include <cstdio>
#include <filesystem>

#include <fmt/format.h>
#include <unistd.h>

#include "engine/weights/checkpoint.h"
#include "report/live_view.h"

namespace flexpert::app {

namespace {

Result<void> make_pack_of(const engine::Checkpoint& checkpoint, const std::string& path) {
  const SystemClock clock;
  const TimePoint start = clock.now();
  report::ProgressBar progress(stderr, report::Terminal::of(STDERR_FILENO), "packing experts");
  std::size_t experts = 0;
  FLEXPERT_TRY(engine::write_pack(checkpoint, path, [&](std::size_t done, std::size_t total) {
    experts = total;
    progress.update(done, total);
  }));
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path, error);
  progress.finish(fmt::format("packed {} experts, {:.1f} MB, in {:.2f} s: {}", experts, error ? 0.0 : static_cast<double>(bytes) / 1e6,
                              to_seconds(clock.now() - start), path));
  return {};
}

}  // namespace

Result<void> make_pack(const std::string& model_folder, const std::string& path) {
  FLEXPERT_ASSIGN(const auto checkpoint, engine::Checkpoint::open(model_folder));
  return make_pack_of(*checkpoint, path);
}

Result<std::shared_ptr<const engine::PackFile>> open_or_make_pack(const std::string& model_folder, const std::string& path) {
  FLEXPERT_ASSIGN(const auto checkpoint, engine::Checkpoint::open(model_folder));
  if (std::error_code error; std::filesystem::exists(path, error)) {
    auto pack = engine::PackFile::open(path);
    if (pack && (*pack)->model_fingerprint() == checkpoint->fingerprint()) return pack;
    fmt::print(stderr, "{}; it is made anew: {}\n", pack ? "pack file is of another model" : pack.error().message, path);
  }
  FLEXPERT_TRY(make_pack_of(*checkpoint, path));
  return engine::PackFile::open(path);
}

std::string runtime_pack_path(const RuntimeFolder& folder, const config::ModelConfig& model) {
  return model.pack.empty() ? folder.file("experts.pack") : std::filesystem::absolute(model.pack).string();
}

}  // namespace flexpert::app
