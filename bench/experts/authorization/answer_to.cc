#include "authorization/answer_to.h"

#include <optional>

#include "expert_fleet.h"

namespace flexpert::bench {

Result<http::Response> answer_to(net::EventLoop& loop, http::Client& client, const net::Address& address, http::Request request) {
  http::Response response;
  response.status = 0;
  bool over = false;
  std::optional<Error> error;
  http::AnswerCallbacks callbacks;
  callbacks.on_head = [&](int status, const http::Headers& headers) {
    response.status = status;
    response.headers = headers;
  };
  callbacks.on_body = [&](std::string_view bytes) { response.body += bytes; };
  callbacks.on_end = [&] { over = true; };
  callbacks.on_error = [&](Error what) {
    error = std::move(what);
    over = true;
  };
  client.send(address, std::move(request), std::move(callbacks));
  FLEXPERT_TRY(run_until(loop, [&] { return over; }, Seconds(60), "an answer"));
  if (error) return fail(*error);
  return response;
}

}  // namespace flexpert::bench
