#pragma once

#include <functional>
#include <memory>
#include <string>

#include "http/client.h"
#include "net/event_loop.h"
#include "net/unique_fd.h"
#include "platform/orchestrator.h"

namespace flexpert::platform {

/// Asks again and again whether a process is ready, until it is or the probe's time is up. Belongs to the loop's
/// thread; destroying it ends it without a call. The callback may destroy it.
class ReadinessCheck final : private net::FdHandler {
 public:
  using Done = std::move_only_function<void(Result<void>)>;

  /// `client` must outlive it. `done` runs once, from the loop.
  ReadinessCheck(net::EventLoop& loop, http::Client& client, ReadinessProbe probe, Duration interval, Done done);
  ~ReadinessCheck() override;
  ReadinessCheck(const ReadinessCheck&) = delete;
  ReadinessCheck& operator=(const ReadinessCheck&) = delete;

 private:
  void attempt();
  void attempt_connect(const net::Address& address);
  void attempt_get(const net::Address& address);
  void on_events(std::uint32_t events) override;
  void failed(std::string why);
  void finish(Result<void> result);
  void close();

  net::EventLoop& loop_;
  http::Client& client_;
  ReadinessProbe probe_;
  Duration interval_;
  Done done_;
  net::TimerId deadline_ = 0;
  net::TimerId next_ = 0;
  net::Address address_;
  net::UniqueFd fd_;
  http::Client::RequestId request_ = 0;
  int status_ = 0;
  std::string last_failure_ = "not tried yet";
};

}  // namespace flexpert::platform
