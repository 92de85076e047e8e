#include "engine/serve/recording_routes.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "codec/expert_counts_json.h"
#include "codec/json_text.h"

namespace flexpert::engine {
namespace {

ExpertCounts counts_of(const placement::RecordedStep& step, const ExpertGeometry& geometry) {
  return {geometry, {step.count.begin(), step.count.end()}, step.tokens};
}

Recording take(const placement::Recorder& recorder) {
  return {recorder.options().mode, recorder.recording(), recorder.steps_seen(), recorder.counts(), {recorder.steps().begin(), recorder.steps().end()}};
}

std::string state_of(const char* state, placement::RecorderMode mode) { return fmt::format(R"({{"status":"{}","mode":"{}"}})", state, name_of(mode)); }

}  // namespace

std::string encode(const Recording& recording) {
  std::string out = fmt::format(R"({{"rank":0,"mode":"{}","steps_seen":{},"tokens":{},)", name_of(recording.mode), recording.steps, recording.counts.tokens);
  const ExpertGeometry& geometry = recording.counts.geometry;
  if (recording.mode == placement::RecorderMode::kStat || recording.mode == placement::RecorderMode::kStatApprox)
    return out + codec::write_expert_counts_json(recording.counts).substr(1);
  std::vector<ExpertCounts> passes;
  out += R"("passes":[)";
  for (const placement::RecordedStep& step : recording.passes) {
    passes.push_back(counts_of(step, geometry));
    out += fmt::format(R"({}{{"step":{},"tokens":{})", passes.size() > 1 ? "," : "", step.step, step.tokens);
    if (recording.mode == placement::RecorderMode::kPerToken) {
      out += fmt::format(R"(,"top_k":{},"experts":[)", step.top_k);
      const std::size_t of_layer = static_cast<std::size_t>(step.tokens) * step.top_k;
      for (std::size_t layer = 0; layer < geometry.layers && (layer + 1) * of_layer <= step.experts.size(); ++layer)
        out += fmt::format("{}[{}]", layer > 0 ? "," : "", fmt::join(std::span(step.experts).subspan(layer * of_layer, of_layer), ","));
      out += "]";
    }
    out += "}";
  }
  return out + "]," + codec::write_count_steps_json(passes).substr(1);
}

bool RecordingRoutes::without_recorder(Reply& reply) const {
  if (model_.recorder != nullptr) return false;
  reply.fail({.status = 501, .message = "This server records no expert distribution.", .type = "server_error", .code = "no_recorder"});
  return true;
}

template <class Task, class Then>
void RecordingRoutes::between_steps(Reply reply, Task task, Then then) {
  const std::uint64_t key = waiting_.park(std::move(reply));
  model_.engine.between_steps([this, weak = weak_from_this(), &loop = loop_, recorder = model_.recorder, key, task, then]() mutable {
    auto result = task(*recorder);
    loop.post([this, weak, key, then, result = std::move(result)]() mutable {
      const auto self = weak.lock();
      if (!self) return;
      waiting_.answer(key, [&](Reply waiting) { then(std::move(waiting), std::move(result)); });
    });
  });
}

void RecordingRoutes::start(Reply reply) {
  if (without_recorder(reply)) return;
  between_steps(
      std::move(reply), [](placement::Recorder& recorder) { return recorder.start(), recorder.options().mode; },
      [](Reply waiting, placement::RecorderMode mode) { waiting.respond_json(200, state_of("recording", mode)); });
}

void RecordingRoutes::stop(Reply reply) {
  if (without_recorder(reply)) return;
  between_steps(
      std::move(reply), [](placement::Recorder& recorder) { return recorder.stop(), recorder.options().mode; },
      [](Reply waiting, placement::RecorderMode mode) { waiting.respond_json(200, state_of("stopped", mode)); });
}

void RecordingRoutes::dump(Reply reply) {
  if (without_recorder(reply)) return;
  between_steps(
      std::move(reply),
      [](placement::Recorder& recorder) {
        Recording recording = take(recorder);
        recorder.start();  // as SGLang does, what was dumped is not dumped again
        if (!recording.recording) recorder.stop();
        return recording;
      },
      [this](Reply waiting, const Recording& recording) { write_dump(std::move(waiting), recording); });
}

void RecordingRoutes::write_dump(Reply reply, const Recording& recording) const {
  std::string body = encode(recording);
  if (model_.recording_folder.empty()) return reply.respond_json(200, std::move(body));
  std::error_code error;
  std::filesystem::create_directories(model_.recording_folder, error);
  const std::string path = fmt::format("{}/expert_distribution_recorder_{}.json", model_.recording_folder, model_.clock.unix_ms());
  std::ofstream file(path, std::ios::binary);
  file << body;
  file.close();
  if (!file)
    return reply.fail({.status = 500,
                       .message = fmt::format("The dump cannot be written to {}: {}; see --expert-distribution-dump-dir.", path, std::strerror(errno)),
                       .type = "server_error",
                       .code = "dump_not_written"});
  std::string with_path = "{\"file\":";
  codec::append_json_string(with_path, path);
  reply.respond_json(200, with_path + "," + body.substr(1));
}

}  // namespace flexpert::engine
