#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "net/child_process.h"
#include "net/event_loop.h"

namespace flexpert::platform {

/// Tells one process from all others, also from a later one with the same pid: /proc/PID/stat field 22 says when it was
/// started, in ticks since boot.
struct ProcessIdentity {
  int pid = 0;
  std::int64_t start_ticks = 0;
  std::string boot_id;

  bool operator==(const ProcessIdentity&) const = default;
};

/// Errors: kNotFound if there is no such process (a zombie is none).
Result<ProcessIdentity> identity_of(int pid);

/// Watches a process that somebody else started, such as a controller that was killed, and tells its end. Its exit code
/// cannot be known: `on_exit` gets -1. Destroying it kills the process. Belongs to the loop's thread.
/// Errors: kNotFound if that process runs no more.
Result<std::unique_ptr<net::ChildProcess>> adopt_process(net::EventLoop& loop, const ProcessIdentity& identity,
                                                         std::move_only_function<void(net::ExitStatus)> on_exit);

}  // namespace flexpert::platform
