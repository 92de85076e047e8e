#pragma once

#include <memory>
#include <string>
#include <vector>

#include "net/address.h"
#include "net/child_process.h"
#include "net/event_loop.h"

namespace flexpert::bench {

/// A `flexpert` process that serves. It is killed with the object. Belongs to the loop's thread.
class Program {
 public:
  /// Starts it and waits until it says where it listens.
  static Result<std::unique_ptr<Program>> start(net::EventLoop& loop, std::vector<std::string> argv);
  [[nodiscard]] const net::Address& address() const { return address_; }
  /// Whether it still runs; a server that ended by itself has failed.
  [[nodiscard]] bool running() const { return process_ != nullptr; }

 private:
  Program() = default;

  net::Address address_;
  std::vector<std::string> lines_;
  std::unique_ptr<net::ChildProcess> process_;
};

}  // namespace flexpert::bench
