#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "http/client.h"

namespace flexpert::controller {

/// Sends requests and gives back whole bodies: an http::Client for small answers. Belongs to the loop's thread;
/// destroying it forgets what is under way.
class JsonCaller {
 public:
  using Done = std::move_only_function<void(Result<std::string>)>;

  explicit JsonCaller(net::EventLoop& loop);
  /// Calls `done` once with the body of a 200, or with an error that holds the status and the server's own message.
  /// 409 is kFailedPrecondition, 404 kNotFound, other 4xx kInvalidArgument, the rest as http::Client says.
  void call(const net::Address& address, std::string method, std::string target, std::string body, Done done);
  /// The same with header fields of the caller's.
  void call(const net::Address& address, std::string method, std::string target, std::string body, http::Headers headers, Done done);

 private:
  http::Client client_;
};

}  // namespace flexpert::controller
