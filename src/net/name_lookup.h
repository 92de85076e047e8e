#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/result.h"
#include "net/address.h"
#include "net/event_loop.h"

namespace flexpert::net {

/// Asks the system (/etc/hosts, DNS) for the IP addresses of a host name, in the order in which they should be tried.
/// An address that needs no lookup is returned as it is. Blocks, for many seconds if a name server is silent: for
/// start-up and for threads of one's own. Errors: kNotFound (no such name), kUnavailable (no name server answers).
Result<std::vector<Address>> look_up(const Address& address);

/// look_up() in a thread of its own, with the answer delivered on the loop. Belongs to the loop's thread. Destroying it
/// forgets the answer: the thread ends by itself and touches nothing of ours.
class NameLookup final : private FdHandler {
 public:
  using Done = std::move_only_function<void(Result<std::vector<Address>>)>;

  /// Errors: kResourceExhausted when there can be no thread or descriptor. `done` runs once and may destroy the NameLookup.
  static Result<std::unique_ptr<NameLookup>> start(EventLoop& loop, const Address& address, Done done);
  ~NameLookup() override;
  NameLookup(const NameLookup&) = delete;
  NameLookup& operator=(const NameLookup&) = delete;

 private:
  struct Answer;
  NameLookup(EventLoop& loop, std::shared_ptr<Answer> answer, Done done);
  void on_events(std::uint32_t events) override;

  EventLoop& loop_;
  std::shared_ptr<Answer> answer_;  ///< shared with the thread, which outlives this if a name server is slow
  Done done_;
};

}  // namespace flexpert::net
