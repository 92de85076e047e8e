#pragma once

#include "base/result.h"
#include "http/client.h"
#include "http/message.h"
#include "net/address.h"
#include "net/event_loop.h"

namespace flexpert::bench {

/// Sends one request and turns the loop until its answer is there: on the loop that the taps and servers of the measurement live on.
/// Errors: as http::AnswerCallbacks::on_error; kDeadlineExceeded after a minute.
Result<http::Response> answer_to(net::EventLoop& loop, http::Client& client, const net::Address& address, http::Request request);

}  // namespace flexpert::bench
