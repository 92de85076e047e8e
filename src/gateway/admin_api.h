#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "base/clock.h"
#include "gateway/access_watch.h"
#include "gateway/admin_listener.h"
#include "gateway/admission.h"
#include "gateway/server_directory.h"
#include "telemetry/request_log.h"

namespace flexpert::gateway {

/// What the admin API shows and works on. All of it outlives the API.
struct AdminSurface {
  const Clock& clock;
  ServerDirectory& directory;
  const Admission& admission;
  AccessWatch& access;
  telemetry::AuditLog& audit;
  std::function<void()> reload;                      ///< as Gateway::reload()
  std::function<void()> models_changed;              ///< from now on no answer that is kept counts
  std::function<std::size_t()> connections;          ///< of clients
  std::function<std::size_t()> registered;           ///< engines that registered themselves
  std::function<bool()> draining;
};

/// The calls under /admin/v1 (docs/reference/admin-api.md). Each asks for one right, and each that changes something is in the audit
/// log, carried out or refused. Belongs to the loop's thread.
class AdminApi final : public AdminRoutes {
 public:
  explicit AdminApi(AdminSurface surface) : surface_(std::move(surface)) {}
  void handle(const http::Request& request, const CallerPtr& caller, std::unique_ptr<Answer> answer) override;

 private:
  [[nodiscard]] http::Response carry_out(const http::Request& request, const Caller& caller);
  [[nodiscard]] http::Response status() const;
  [[nodiscard]] http::Response keys() const;
  [[nodiscard]] http::Response upstreams() const;
  [[nodiscard]] http::Response hold_upstream(std::string_view id, bool held);
  void write_audit(const http::Request& request, const Caller& caller, std::string_view object, std::string_view reason) const;

  AdminSurface surface_;
};

}  // namespace flexpert::gateway
