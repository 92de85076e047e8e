#include "gateway/load_report_sender.h"

#include "base/log.h"

namespace flexpert::gateway {

LoadReportSender::LoadReportSender(net::EventLoop& loop, net::Address controller, Duration period, Make make)
    : loop_(loop),
      controller_(std::move(controller)),
      period_(period),
      make_(std::move(make)),
      client_(std::make_unique<http::Client>(
          loop, http::ClientOptions{.connect_timeout = Seconds(2), .head_timeout = Seconds(5), .idle_timeout = Seconds(5)})) {
  timer_ = loop_.call_after(Duration::zero(), [this] { send(); });
}

LoadReportSender::~LoadReportSender() { loop_.cancel(timer_); }

void LoadReportSender::hurry() {
  if (under_way_) {
    hurried_ = true;
    return;
  }
  loop_.cancel(timer_);
  timer_ = loop_.call_after(Duration::zero(), [this] { send(); });
}

void LoadReportSender::send() {
  timer_ = 0;
  under_way_ = true;
  status_ = 0;
  answer_.clear();
  http::Request request;
  request.method = "POST";
  request.target = "/internal/gateway-report";
  request.headers.set("Content-Type", "application/json");
  request.body = codec::encode(make_());
  http::AnswerCallbacks callbacks;
  callbacks.on_head = [this](int status, const http::Headers&) { status_ = status; };
  callbacks.on_body = [this](std::string_view bytes) { answer_.append(bytes.substr(0, 300 - std::min<std::size_t>(answer_.size(), 300))); };
  // A controller without pools knows no reports.
  callbacks.on_end = [this] { over(status_ / 100 == 2 || status_ == 404 ? "" : fmt::format("it answered {}: {}", status_, answer_)); };
  callbacks.on_error = [this](const Error& error) { over(error.message); };
  client_->send(controller_, std::move(request), std::move(callbacks));
}

void LoadReportSender::over(const std::string& error) {
  under_way_ = false;
  if (error.empty()) {
    complained_ = ending_;
  } else if (!complained_) {
    complained_ = true;
    log::warn("the controller at {} does not take reports, going on without: {}", controller_.to_string(), error);
  }
  // A controller that is away is asked no faster, whatever is in a hurry.
  const bool now = std::exchange(hurried_, false) && error.empty();
  timer_ = loop_.call_after(now ? Duration::zero() : period_, [this] { send(); });
}

}  // namespace flexpert::gateway
