#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "authorization/program.h"
#include "authorization/rules.h"
#include "authorization/wire_tap.h"
#include "codec/fleet_json.h"
#include "expert_fleet.h"
#include "http/message.h"

namespace flexpert::bench {

/// The experts' counters of one moment, per (layer, expert).
struct Counted {
  std::vector<std::uint64_t> asked;       ///< of expert servers, on the wire
  std::vector<std::uint64_t> in_process;  ///< computed by the model server itself
  std::vector<std::uint64_t> chosen;      ///< by gating
};
Counted operator-(const Counted& later, const Counted& earlier);

/// A model server with a secret, four expert servers of which two listen on TCP, and a tap in front of each. Belongs to the loop's
/// thread.
class AuthorizationFleet {
 public:
  static constexpr std::size_t kServers = 4;

  static Result<std::unique_ptr<AuthorizationFleet>> start(net::EventLoop& loop, const std::string& program, const std::string& model,
      bool with_servers);

  /// Sends one request to the model server and waits for its answer.
  Result<http::Response> call(http::Request request);
  /// Returns a field X-Flexpert-Grant as a gateway makes it, for a caller to whom `forbidden` is closed.
  [[nodiscard]] std::string grant(const std::set<rules::Slot>& forbidden, std::string_view body) const;
  Result<Counted> counted();
  /// What the expert servers themselves say that they computed since they started.
  Result<std::vector<std::uint64_t>> computed_by_servers();
  /// Reads one metric of the model server.
  Result<double> metric(const std::string& series);

  [[nodiscard]] ExpertGeometry geometry() const { return geometry_; }
  [[nodiscard]] const net::Address& address() const { return server_->address(); }
  [[nodiscard]] bool server_running() const { return server_->running(); }
  [[nodiscard]] const std::string& model_name() const { return model_name_; }
  [[nodiscard]] const std::string& secret_file() const { return secret_file_; }
  [[nodiscard]] const RoutingTable& table() const { return table_; }
  [[nodiscard]] ExpertFleet& experts() { return experts_; }
  [[nodiscard]] const ScratchFolder& folder() const { return folder_; }
  [[nodiscard]] std::uint64_t malformed() const;
  /// Rows asked of expert servers so far, on the wire.
  [[nodiscard]] const std::vector<std::uint64_t>& asked() const { return asked_; }

 private:
  AuthorizationFleet(net::EventLoop& loop, const std::string& program)
      : loop_(loop), pack_(folder_.file("experts.pack")), experts_(loop, {.program = program, .pack = pack_, .folder = folder_.file("")}) {}
  Result<void> begin(const std::string& program, const std::string& model, bool with_servers);
  Result<void> place();

  net::EventLoop& loop_;
  ScratchFolder folder_;
  std::string pack_;
  std::string secret_file_;
  std::string secret_;
  std::string model_name_;
  std::string fingerprint_;
  ExpertGeometry geometry_;
  std::uint32_t hidden_ = 0;
  ExpertFleet experts_;
  std::vector<std::uint64_t> asked_;
  std::vector<std::unique_ptr<WireTap>> taps_;
  RoutingTable table_;
  std::unique_ptr<Program> server_;
};

}  // namespace flexpert::bench
