#pragma once

#include <functional>
#include <string>
#include <vector>

#include "http/client.h"
#include "net/address.h"

namespace flexpert::app {

/// One of the three calls of secure routing that the quick start shows, and what became of it.
struct SecureRouteCall {
  std::string command;       ///< what a reader would type
  std::string token;         ///< empty: none
  std::string body;
  int expected_status = 200;
  int status = 0;            ///< 0: no answer
  std::string answer;        ///< the body, or why there is none

  [[nodiscard]] bool as_expected() const { return status == expected_status; }
};

/// Makes the three calls against a gateway, one after the other.
class SecureRouteCalls {
 public:
  SecureRouteCalls(http::Client& client, net::Address gateway);
  /// Calls `done` with all three answered.
  void run(std::function<void(const std::vector<SecureRouteCall>&)> done);
  [[nodiscard]] const std::vector<SecureRouteCall>& calls() const { return calls_; }

 private:
  void next();

  http::Client& client_;
  net::Address gateway_;
  std::vector<SecureRouteCall> calls_;
  std::size_t current_ = 0;
  std::function<void(const std::vector<SecureRouteCall>&)> done_;
};

}  // namespace flexpert::app
