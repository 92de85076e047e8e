#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "fleet/engine_profile.h"

/// What `flexpert profile` measures and what it has measured so far, in a file of points that a later run continues.
namespace flexpert::app {

/// What decides whether two runs measure the same.
struct ProfileSettings {
  std::string model;
  std::uint32_t gpus = 1;                     ///< that the engine runs on
  std::uint32_t osl = 64;                     ///< tokens of each answer in decode points
  std::uint32_t repeats = 3;                  ///< of each prefill point; their median counts
  double max_kv_tokens = 0;
  std::vector<std::uint32_t> isl;             ///< prompt lengths, tokens
  std::vector<std::uint32_t> context;         ///< decode: context lengths, tokens, half-way through the answer
  std::vector<std::uint32_t> concurrency;     ///< decode: streams at once

  bool operator==(const ProfileSettings&) const = default;
};

struct PrefillPoint {
  std::uint32_t asked_isl = 0;
  double isl = 0;      ///< as the engine counted
  double ttft_ms = 0;
};

struct DecodePoint {
  std::uint32_t asked_context = 0;
  std::uint32_t concurrency = 0;
  double context = 0;  ///< as the engine counted, half-way
  double itl_ms = 0;
};

struct ProfileProgress {
  ProfileSettings settings;
  std::vector<PrefillPoint> prefill;
  std::vector<DecodePoint> decode;
};

/// One measurement that is still to be made: of prefill where `concurrency` is 0.
struct ProfileTask {
  std::uint32_t length = 0;
  std::uint32_t concurrency = 0;
};

/// Lists every measurement of the settings; decode points that do not fit the KV cache are left out.
std::vector<ProfileTask> all_tasks(const ProfileSettings& settings);
/// The same without those that are done.
std::vector<ProfileTask> tasks_left(const ProfileProgress& progress);

/// Lengths from 32 to `most`, doubling, `most` included; at least four.
std::vector<std::uint32_t> default_lengths(std::uint32_t most);

/// The profile of what was measured. Too few points make one that no reader takes; it is meant for all of them.
EngineProfile profile_of(const ProfileProgress& progress);

/// The file of points.
std::string encode(const ProfileProgress& progress);
Result<ProfileProgress> decode_profile_progress(const std::string& text);

}  // namespace flexpert::app
