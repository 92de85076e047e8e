#include "http/client.h"

namespace flexpert::http {
namespace {

constexpr std::size_t kMostBodyBytes = 256 * 1024 * 1024;

}  // namespace

Result<Response> fetch(const net::Address& address, Request request, Duration timeout) {
  net::EventLoop loop;
  Client client(loop, {.connect_timeout = timeout, .head_timeout = timeout, .idle_timeout = timeout});
  Response response;
  Error error;
  bool over = false;
  bool failed = false;
  const auto fail_with = [&](Error reason) {
    error = std::move(reason);
    failed = true;
    over = true;
  };
  const std::string what = fmt::format("{} {} at {}", request.method, request.target, address.to_string());
  Client::RequestId id = 0;
  id = client.send(address, std::move(request),
                   {.on_head =
                        [&](int status, const Headers& headers) {
                          response.status = status;
                          response.headers = headers;
                        },
                    .on_body =
                        [&](std::string_view bytes) {
                          if (response.body.size() + bytes.size() <= kMostBodyBytes) {
                            response.body.append(bytes);
                            return;
                          }
                          client.cancel(id);
                          fail_with({ErrorCode::kResourceExhausted, fmt::format("the answer is larger than {} bytes", kMostBodyBytes)});
                        },
                    .on_end = [&] { over = true; },
                    .on_error = fail_with});
  const net::TimerId timer = loop.call_after(
      timeout, [&] { fail_with({ErrorCode::kDeadlineExceeded, fmt::format("no whole answer within {} ms", to_ms(timeout))}); });
  while (!over) loop.run_once(Seconds(1));
  loop.cancel(timer);
  if (failed) return fail(error.with_context(what));
  return response;
}

}  // namespace flexpert::http
