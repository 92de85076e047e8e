#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/serve/parked_replies.h"
#include "engine/serve/reply.h"
#include "engine/serve/served_model.h"
#include "net/event_loop.h"

namespace flexpert::engine {

/// What a recorder held at one moment.
struct Recording {
  placement::RecorderMode mode = placement::RecorderMode::kStat;
  bool recording = false;
  std::uint64_t steps = 0;
  ExpertCounts counts;
  std::vector<placement::RecordedStep> passes;  ///< per_pass and per_token
};

/// Returns the dump in the form that SGLang's and our own readers take: {"logical_count": [layers][experts], or
/// [passes][layers][experts]}, with what else is known beside it (docs/reference/internal-api.md).
std::string encode(const Recording& recording);

/// SGLang's /start_expert_distribution_record, /stop_... and /dump_...: they reach the recorder between two steps. Belongs to
/// the loop's thread; make it with std::make_shared.
class RecordingRoutes : public std::enable_shared_from_this<RecordingRoutes> {
 public:
  /// `model` must outlive it.
  RecordingRoutes(net::EventLoop& loop, const ServedModel& model) : loop_(loop), model_(model) {}
  void drop_replies() { waiting_.drop_all(); }

  void start(Reply reply);
  void stop(Reply reply);
  void dump(Reply reply);

 private:
  /// Runs `task` on the engine thread and `then` with its result here.
  template <class Task, class Then>
  void between_steps(Reply reply, Task task, Then then);
  [[nodiscard]] bool without_recorder(Reply& reply) const;
  void write_dump(Reply reply, const Recording& recording) const;

  net::EventLoop& loop_;
  const ServedModel& model_;
  ParkedReplies waiting_;
};

}  // namespace flexpert::engine
