#pragma once

#include <memory>
#include <string>
#include <vector>

#include "authorization/fleet.h"
#include "authorization/program.h"
#include "authorization/rules.h"
#include "http/server.h"

namespace flexpert::bench {

/// A gateway process in front of an AuthorizationFleet, with a controller that says where everything is. Belongs to the loop's thread.
class GatewaySetup {
 public:
  static Result<std::unique_ptr<GatewaySetup>> start(net::EventLoop& loop, const std::string& program, const std::string& model,
      const AuthorizationFleet& fleet);

  [[nodiscard]] const net::Address& address() const { return gateway_->address(); }
  /// Adds what proves who somebody is.
  void identify(http::Request& request, const rules::Principal& who) const;

 private:
  explicit GatewaySetup(net::EventLoop& loop) : loop_(loop) {}
  Result<void> begin(const std::string& program, const std::string& model, const AuthorizationFleet& fleet);

  net::EventLoop& loop_;
  ScratchFolder folder_;
  std::string jwt_secret_;
  std::string snapshot_;
  std::vector<http::Responder> watchers_;
  std::unique_ptr<http::Server> controller_;
  std::unique_ptr<Program> gateway_;
};

}  // namespace flexpert::bench
