#pragma once

#include <functional>

#include "http/message.h"

namespace flexpert::gateway {

/// The answer to a call that the gateway carries out itself, given once. Whoever drops it without one has the client told 500. On the
/// loop's thread.
class Answer {
 public:
  /// The side that knows the client.
  class Sink {
   public:
    virtual ~Sink() = default;
    virtual void answer(http::Response response) = 0;
  };

  explicit Answer(Sink& sink) : sink_(&sink) {}
  ~Answer();
  Answer(const Answer&) = delete;
  Answer& operator=(const Answer&) = delete;

  /// Nothing happens if the client has gone.
  void respond(http::Response response);
  /// Calls `callback` once if the client goes away before the answer.
  void on_disconnect(std::move_only_function<void()> callback) { on_disconnect_ = std::move(callback); }

  // For the sink:
  /// The client has gone, or the gateway goes: no answer is taken any more. `tell`: whoever asked for it hears of that.
  void lose(bool tell);

 private:
  Sink* sink_;
  std::move_only_function<void()> on_disconnect_;
};

}  // namespace flexpert::gateway
