#pragma once

#include <functional>
#include <memory>

#include "codec/gateway_report.h"
#include "http/client.h"
#include "net/address.h"
#include "net/event_loop.h"

namespace flexpert::gateway {

/// Posts reports to the controller, every second and at once when it is told of demand. A report that fails costs nothing:
/// the next one holds it. Belongs to the loop's thread.
class LoadReportSender {
 public:
  using Make = std::function<codec::GatewayReport()>;

  LoadReportSender(net::EventLoop& loop, net::Address controller, Duration period, Make make);
  ~LoadReportSender();
  LoadReportSender(const LoadReportSender&) = delete;
  LoadReportSender& operator=(const LoadReportSender&) = delete;

  /// Sends one at the end of this turn of the loop, or as soon as the one under way is answered.
  void hurry();
  /// From now on failures are nothing to warn of: everything stops.
  void expect_end() { complained_ = ending_ = true; }

 private:
  void send();
  void over(const std::string& error);

  net::EventLoop& loop_;
  net::Address controller_;
  Duration period_;
  Make make_;
  net::TimerId timer_ = 0;
  bool under_way_ = false;
  bool hurried_ = false;
  bool complained_ = false;
  bool ending_ = false;
  int status_ = 0;
  std::string answer_;
  std::unique_ptr<http::Client> client_;
};

}  // namespace flexpert::gateway
