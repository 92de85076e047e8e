#include "seeded_layers.h"

#include <cstdio>
#include <filesystem>

#include "engine/expert/seeded_pack.h"

namespace flexpert::bench {

Result<std::string> seeded_pack_beside(const std::string& program) {
  const engine::SeededPackShape shape;
  const std::filesystem::path folder = std::filesystem::absolute(program).parent_path() / "bench-data";
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  const std::string path = folder / "qwen3-30b-a3b-two-layers.pack";
  const auto there = engine::PackFile::open(path);
  if (there && (*there)->model_fingerprint() == engine::seeded_fingerprint(shape)) return path;
  std::fprintf(stderr, "writing the seeded pack, once: %s\n", path.c_str());
  FLEXPERT_TRY(engine::write_seeded_pack(path, shape));
  return path;
}

MadeUpLayer::MadeUpLayer(const engine::PackFile& pack, std::uint32_t layer, std::uint32_t rows, std::uint32_t per_row, Rng& rng)
    : rows_(std::size_t{rows} * pack.hidden_size()), rows_of_(pack.geometry().experts) {
  const std::uint32_t hidden = pack.hidden_size();
  for (float& value : rows_) value = static_cast<float>(rng.uniform() * 2 - 1);
  for (std::uint32_t row = 0; row < rows; ++row) {
    for (std::uint32_t k = 0; k < per_row;) {
      auto& list = rows_of_[rng.below(rows_of_.size())];
      if (!list.empty() && list.back() == row) continue;
      list.push_back(row);
      ++k;
    }
  }
  outputs_.resize(std::size_t{rows} * per_row * hidden);
  std::size_t at = 0;
  for (std::uint32_t expert = 0; expert < rows_of_.size(); ++expert) {
    if (rows_of_[expert].empty()) continue;
    groups_.push_back({expert, rows_of_[expert], outputs_.data() + at * hidden});
    at += rows_of_[expert].size();
  }
  batch_ = {.layer = layer, .step = 0, .rows = rows_, .row_count = rows, .hidden = hidden, .groups = groups_};
}

double MadeUpLayer::run_ms(engine::ExpertExecutor& executor, const Clock& clock) {
  executor.begin_step(0);
  const TimePoint start = clock.now();
  executor.compute(batch_);
  return to_ms(clock.now() - start);
}

double expert_bytes(const engine::PackFile& pack) {
  const engine::ExpertWeights* weights = pack.expert({0, 0});
  const auto bytes = [](const engine::PackedMatrix& m) { return static_cast<double>(engine::packed_bytes(m.type, m.outputs, m.inputs)); };
  return bytes(weights->gate) + bytes(weights->up) + bytes(weights->down);
}

}  // namespace flexpert::bench
