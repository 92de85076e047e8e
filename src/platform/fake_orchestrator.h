#pragma once

#include <map>
#include <memory>
#include <vector>

#include "net/event_loop.h"
#include "platform/orchestrator.h"

namespace flexpert::platform {

/// An Orchestrator without processes: instances become ready, crash and stop when a test says so (or at once, with
/// `auto_ready`). Like a real one, it tells its news from the loop, never from inside a call. Single-threaded.
class FakeOrchestrator final : public Orchestrator {
 public:
  explicit FakeOrchestrator(net::EventLoop& loop, bool auto_ready = true) : loop_(loop), auto_ready_(auto_ready) {}

  void set_on_change(OnChange callback) override { on_change_ = std::move(callback); }
  Result<void> launch(LaunchSpec spec) override;
  Result<void> stop(const InstanceId& id) override;
  [[nodiscard]] std::vector<Observed> observe() const override;
  [[nodiscard]] std::vector<Recovered> recover() override;

  /// Makes the next launches fail with this message; empty: none.
  void refuse_launches(std::string message) { refusal_ = std::move(message); }
  void set_auto_ready(bool auto_ready) { auto_ready_ = auto_ready; }
  /// What recover() finds.
  void left_running(LaunchSpec spec, InstanceState state);
  void become_ready(const InstanceId& id) { change(id, InstanceState::kReady, ""); }
  void crash(const InstanceId& id, const std::string& error) { change(id, InstanceState::kFailed, error); }
  /// Brings a crashed instance back to kStarting, and with auto_ready to kReady.
  void restart(const InstanceId& id);

  /// Everything launched and stopped so far, in order.
  [[nodiscard]] const std::vector<LaunchSpec>& launched() const { return launched_; }
  [[nodiscard]] const std::vector<InstanceId>& stopped() const { return stopped_; }

 private:
  void change(const InstanceId& id, InstanceState state, const std::string& error);

  net::EventLoop& loop_;
  bool auto_ready_;
  OnChange on_change_;
  std::string refusal_;
  std::int64_t next_pid_ = 1000;
  std::map<InstanceId, Observed> instances_;
  std::vector<LaunchSpec> launched_;
  std::vector<InstanceId> stopped_;
  std::vector<Recovered> left_;
  std::shared_ptr<int> alive_ = std::make_shared<int>();
};

}  // namespace flexpert::platform
