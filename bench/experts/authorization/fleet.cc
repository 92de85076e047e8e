#include "authorization/fleet.h"

#include "authorization/answer_to.h"
#include "codec/internal_grant.h"
#include "controller/server_rows.h"
#include "crypto/digest.h"
#include "crypto/hmac_key.h"
#include "crypto/secret_file.h"
#include "engine/expert/pack_file.h"
#include "engine/kernels/kernels.h"
#include "engine/weights/checkpoint.h"
#include "http/client.h"

namespace flexpert::bench {
namespace {

std::vector<std::uint64_t> difference(const std::vector<std::uint64_t>& later, const std::vector<std::uint64_t>& earlier) {
  std::vector<std::uint64_t> out = later;
  for (std::size_t i = 0; i < out.size() && i < earlier.size(); ++i) out[i] -= earlier[i];
  return out;
}

}  // namespace

Counted operator-(const Counted& later, const Counted& earlier) {
  return {difference(later.asked, earlier.asked), difference(later.in_process, earlier.in_process), difference(later.chosen,
      earlier.chosen)};
}

Result<std::unique_ptr<AuthorizationFleet>> AuthorizationFleet::start(net::EventLoop& loop, const std::string& program,
    const std::string& model, bool with_servers) {
  std::unique_ptr<AuthorizationFleet> fleet(new AuthorizationFleet(loop, program));
  FLEXPERT_TRY(fleet->begin(program, model, with_servers));
  return fleet;
}

Result<void> AuthorizationFleet::begin(const std::string& program, const std::string& model, bool with_servers) {
  FLEXPERT_ASSIGN(const auto checkpoint, engine::Checkpoint::open(model));
  FLEXPERT_TRY(engine::write_pack(*checkpoint, pack_, {}));
  geometry_ = checkpoint->config().expert_geometry();
  hidden_ = checkpoint->config().hidden_size;
  fingerprint_ = checkpoint->fingerprint();
  model_name_ = "flexpert-tiny-moe";
  asked_.assign(geometry_.size(), 0);
  secret_file_ = folder_.file("internal.secret");
  FLEXPERT_TRY(crypto::ensure_secret_file(secret_file_));
  FLEXPERT_ASSIGN(secret_, crypto::read_secret_file(secret_file_));
  FLEXPERT_ASSIGN(server_, Program::start(loop_, {program, "serve", "--model", model, "--name", model_name_, "--pack", pack_, "--listen",
      "127.0.0.1:0", "--kv-blocks", "2048",
                                                  "--internal-secret-file", secret_file_, "--log-level", "off"}));
  return with_servers ? place() : Result<void>();
}

Result<void> AuthorizationFleet::place() {
  for (std::size_t i = 0; i < kServers; ++i) experts_.add(i % 2 == 1);
  FLEXPERT_TRY(experts_.start_all_and_wait());
  table_ = experts_.full_table(geometry_, 1);
  for (std::size_t i = 0; i < kServers; ++i) {
    FLEXPERT_ASSIGN(net::Address target, net::Address::parse(table_.endpoints[i].address));
    const std::string path = folder_.file(fmt::format("tap-{}", i));
    taps_.push_back(std::make_unique<WireTap>(loop_, geometry_, asked_));
    FLEXPERT_TRY(taps_.back()->listen(path, std::move(target)));
    table_.endpoints[i].address = "unix:" + path;
  }
  FLEXPERT_ASSIGN(const http::Response answer, call({.method = "PUT", .target = "/internal/routing-table", .body = codec::encode(table_)}));
  if (answer.status != 200) return fail(ErrorCode::kInternal, "the routing table was refused: {}", answer.body);
  return {};
}

Result<http::Response> AuthorizationFleet::call(http::Request request) {
  http::Client client(loop_, {});
  return answer_to(loop_, client, server_->address(), std::move(request));
}

std::string AuthorizationFleet::grant(const std::set<rules::Slot>& forbidden, std::string_view body) const {
  std::vector<ExpertSlot> slots;
  std::string digest;
  for (const auto& [layer, expert] : forbidden) {
    slots.push_back({layer, expert});
    digest += fmt::format("{}:{} ", layer, expert);
  }
  codec::InternalGrant grant;
  grant.rights = {.tenant = "bench", .model = model_name_, .policy_revision = "1", .rights_digest = crypto::sha256_hex(digest),
      .forbidden = ExpertSet(std::move(slots))};
  grant.request_id = "bench";
  grant.body_sha256 = crypto::sha256(body);
  grant.expires_unix_ms = SystemClock().unix_ms() + 60'000;
  const auto payload = codec::internal_grant_payload(grant);
  return codec::internal_grant_value(*payload, crypto::HmacKey(secret_).sign(*payload));
}

Result<Counted> AuthorizationFleet::counted() {
  FLEXPERT_ASSIGN(const http::Response answer, call({.method = "GET", .target = "/internal/expert-loads"}));
  FLEXPERT_ASSIGN(codec::ExpertLoadReport report, codec::decode_expert_load_report(answer.body));
  return Counted{asked_, std::move(report.in_process_rows), std::move(report.rows)};
}

Result<std::vector<std::uint64_t>> AuthorizationFleet::computed_by_servers() {
  controller::ServerRows inquiry(loop_, {.model_fingerprint = fingerprint_, .model_epoch = 0, .kernel_identity = engine::kernel_identity(),
      .hidden = hidden_, .geometry = geometry_});
  std::vector<controller::ServerRows::Target> targets;
  for (const ExpertEndpoint& endpoint : experts_.endpoints()) {
    FLEXPERT_ASSIGN(net::Address address, net::Address::parse(endpoint.address));
    targets.push_back({endpoint.id, std::move(address)});
  }
  std::vector<std::uint64_t> rows(geometry_.size());
  std::size_t answered = 0;
  inquiry.poll(targets, [&](const InstanceId&, const std::vector<expert_protocol::SlotRows>& slots) {
    ++answered;
    for (const auto& one : slots) rows[geometry_.index(one.slot)] += one.rows;
  });
  FLEXPERT_TRY(run_until(loop_, [&] { return answered == targets.size(); }, Seconds(10), "expert servers to tell their rows"));
  return rows;
}

Result<double> AuthorizationFleet::metric(const std::string& series) {
  FLEXPERT_ASSIGN(const http::Response answer, call({.method = "GET", .target = "/metrics"}));
  const std::string text = "\n" + answer.body;
  const std::size_t at = text.find("\n" + series + " ");
  return at == std::string::npos ? 0 : std::strtod(text.c_str() + at + series.size() + 2, nullptr);
}

std::uint64_t AuthorizationFleet::malformed() const {
  std::uint64_t all = 0;
  for (const auto& tap : taps_) all += tap->malformed();
  return all;
}

}  // namespace flexpert::bench
