#include "platform/readiness.h"

#include <sys/epoll.h>

#include "net/socket.h"

namespace flexpert::platform {

ReadinessCheck::ReadinessCheck(net::EventLoop& loop, http::Client& client, ReadinessProbe probe, Duration interval, Done done)
    : loop_(loop), client_(client), probe_(std::move(probe)), interval_(interval), done_(std::move(done)) {
  deadline_ = loop_.call_after(probe_.timeout, [this] {
    deadline_ = 0;
    finish(fail(ErrorCode::kDeadlineExceeded, "not ready within {:.1f} s at {}{}: {}", to_seconds(probe_.timeout), probe_.address,
                probe_.http_path, last_failure_));
  });
  next_ = loop_.call_after(Duration::zero(), [this] { attempt(); });
}

ReadinessCheck::~ReadinessCheck() {
  loop_.cancel(deadline_);
  loop_.cancel(next_);
  close();
}

void ReadinessCheck::attempt() {
  next_ = 0;
  const auto address = net::Address::parse(probe_.address);
  if (!address) return finish(fail(address.error().with_context("readiness probe")));
  address_ = *address;
  probe_.http_path.empty() ? attempt_connect(address_) : attempt_get(address_);
}

void ReadinessCheck::attempt_connect(const net::Address& address) {
  auto fd = net::start_connect(address);
  if (!fd) return failed(fd.error().message);
  fd_ = std::move(*fd);
  loop_.watch(fd_.get(), EPOLLOUT, this);
}

void ReadinessCheck::on_events(std::uint32_t) {
  const auto connected = net::connect_result(fd_.get(), address_);
  close();
  if (!connected) return failed(connected.error().message);
  finish({});
}

void ReadinessCheck::attempt_get(const net::Address& address) {
  http::Request request;
  request.method = "GET";
  request.target = probe_.http_path;
  http::AnswerCallbacks callbacks;
  callbacks.on_head = [this](int status, const http::Headers&) { status_ = status; };
  callbacks.on_body = [](std::string_view) {};
  callbacks.on_end = [this] {
    request_ = 0;
    if (status_ == 200) return finish({});
    failed(fmt::format("answered {}", status_));
  };
  callbacks.on_error = [this](const Error& error) {
    request_ = 0;
    failed(error.message);
  };
  request_ = client_.send(address, std::move(request), std::move(callbacks));
}

void ReadinessCheck::failed(std::string why) {
  last_failure_ = std::move(why);
  next_ = loop_.call_after(interval_, [this] { attempt(); });
}

void ReadinessCheck::finish(Result<void> result) {
  loop_.cancel(std::exchange(deadline_, 0));
  loop_.cancel(std::exchange(next_, 0));
  close();
  Done done = std::move(done_);
  done(std::move(result));  // may destroy this
}

void ReadinessCheck::close() {
  if (fd_) loop_.unwatch(fd_.get());
  fd_.reset();
  if (request_ != 0) client_.cancel(std::exchange(request_, 0));
}

}  // namespace flexpert::platform
