#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "engine/serve/expert_calls.h"
#include "engine/serve/parked_replies.h"
#include "engine/serve/reply.h"
#include "engine/serve/served_model.h"
#include "fleet/expert_set.h"
#include "net/event_loop.h"

namespace flexpert::engine {

/// Everything under /internal of a model server; docs/reference/internal-api.md. Belongs to the loop's thread.
class InternalRoutes : public std::enable_shared_from_this<InternalRoutes> {
 public:
  /// `model` must outlive it; make it with std::make_shared.
  InternalRoutes(net::EventLoop& loop, const ServedModel& model, std::uint32_t max_context);
  /// Drops the replies that wait for the engine or for experts.
  void stop() {
    runs_.clear();
    waiting_.drop_all();
  }
  /// Notes a table of this server's own placement that has taken effect.
  void adopt(std::shared_ptr<const RoutingTable> table);

  void status(Reply reply) const;
  void expert_loads(Reply reply) const;
  void routing_table(Reply reply) const;
  void set_routing_table(std::string_view body, Reply reply);
  /// Refuses (403) a call through any of `forbidden`.
  void run_experts(std::string_view body, const ExpertSet& forbidden, Reply reply);
  void resources(Reply reply) const;
  void set_resources(std::string_view body, Reply reply);

 private:
  void end_run(std::uint64_t key, codec::ApiResult<ExpertCallAnswer> result);

  net::EventLoop& loop_;
  const ServedModel& model_;
  std::uint32_t max_context_;
  std::shared_ptr<const RoutingTable> table_;  // the newest that took effect
  ParkedReplies waiting_;
  std::unordered_map<std::uint64_t, std::unique_ptr<ExpertCallRun>> runs_;  // by the number of their reply
};

}  // namespace flexpert::engine
