#include "controller/actuator.h"

#include <boost/json.hpp>

#include "codec/fleet_json.h"

namespace flexpert::controller {
namespace {

Result<std::uint64_t> epoch_of(const std::string& body) {
  boost::json::error_code error;
  const boost::json::value value = boost::json::parse(body, error);
  if (!error && value.is_object())
    if (const auto* epoch = value.get_object().if_contains("epoch"); epoch != nullptr && epoch->is_int64() && epoch->get_int64() >= 0)
      return static_cast<std::uint64_t>(epoch->get_int64());
  return fail(ErrorCode::kInvalidArgument, "PUT /internal/routing-table: answer without an epoch: {}", body.substr(0, 200));
}

}  // namespace

Actuator::Actuator(const ControllerOptions& options, platform::Orchestrator& orchestrator, FleetBook& book, JsonCaller& caller,
                   std::function<void()> on_settled, std::function<void(const Error&)> on_failure)
    : options_(options),
      orchestrator_(orchestrator),
      book_(book),
      caller_(caller),
      on_settled_(std::move(on_settled)),
      on_failure_(std::move(on_failure)) {}

Result<InstanceId> Actuator::launch_model_server() {
  const config::ModelConfig& model = *options_.config.model;
  const InstanceId id{fmt::format("serve-{}", book_.free_number(InstanceRole::kModelServer))};
  const std::string address = fmt::format("unix:{}/{}.sock", options_.runtime_dir, id);
  platform::LaunchSpec spec;
  spec.id = id;
  spec.argv = {options_.program, "serve",     "--model",      model.path, "--pack",      options_.pack_file,
               "--listen",       address,     "--threads",    fmt::to_string(model.threads),
               "--kv-blocks",    fmt::to_string(model.kv_blocks), "--max-batch", fmt::to_string(model.max_batch),
               "--name",         model.name};
  if (model.placement.dispatch != config::PlacementConfig{}.dispatch) {
    spec.argv.emplace_back("--ep-dispatch-algorithm");
    spec.argv.push_back(model.placement.dispatch);
  }
  if (const std::string& secret = options_.config.access.internal_secret_file; !secret.empty()) {
    spec.argv.emplace_back("--internal-secret-file");
    spec.argv.push_back(secret);
  }
  spec.readiness = {address, "/ready", options_.ready_timeout};
  spec.drain_deadline = options_.drain_deadline;
  return launch(InstanceRole::kModelServer, std::move(spec), address);
}

Result<InstanceId> Actuator::launch_expert_server() {
  const config::ExpertServersConfig& servers = options_.config.model->expert_servers;
  const InstanceId id{fmt::format("expert-{}", book_.free_number(InstanceRole::kExpertServer))};
  const std::string address = fmt::format("unix:{}/{}.sock", options_.runtime_dir, id);
  platform::LaunchSpec spec;
  spec.id = id;
  spec.argv = {options_.program, "expert", "--pack", options_.pack_file, "--listen", address, "--threads", fmt::to_string(servers.threads),
               "--id", id.value, "--metrics", fmt::format("unix:{}/{}.metrics.sock", options_.runtime_dir, id)};
  if (servers.pace_rows_per_s > 0) {
    spec.argv.emplace_back("--pace");
    spec.argv.push_back(fmt::format("{}", servers.pace_rows_per_s));
  }
  spec.readiness = {address, "", Seconds(30)};
  spec.drain_deadline = options_.drain_deadline;
  return launch(InstanceRole::kExpertServer, std::move(spec), address);
}

Result<InstanceId> Actuator::launch(InstanceRole role, platform::LaunchSpec spec, const std::string& address) {
  Member member;
  FLEXPERT_ASSIGN(member.address, net::Address::parse(address));
  member.status.id = spec.id;
  member.status.role = role;
  member.status.model = options_.config.model->name;
  member.status.address = address;
  if (role == InstanceRole::kExpertServer) member.status.pace_rows_per_s = options_.config.model->expert_servers.pace_rows_per_s;
  const InstanceId id = spec.id;
  const std::uint32_t number = book_.free_number(role);
  FLEXPERT_TRY(orchestrator_.launch(std::move(spec)));
  for (const platform::Observed& observed : orchestrator_.observe())
    if (observed.id == id) member.status.pid = observed.pid;
  book_.add(role, number, std::move(member));
  return id;
}

void Actuator::stop(Member& member) {
  member.stopping = true;
  member.status.state = InstanceState::kDraining;
  if (const auto stopped = orchestrator_.stop(member.status.id); !stopped) on_failure_(stopped.error());
}

void Actuator::publish(RoutingTable table) {
  table_ = std::move(table);
  encoded_ = codec::encode(table_);
  push();
}

void Actuator::push() {
  if (table_.epoch == 0) return;
  for (Member* member : book_.of(InstanceRole::kModelServer)) {
    if (member->acked_epoch > table_.epoch) {  // somebody else's table, newer by its number: ours goes over it
      table_.epoch = member->acked_epoch + 1;
      encoded_ = codec::encode(table_);
    }
  }
  for (Member* member : book_.of(InstanceRole::kModelServer)) send_to(*member);
}

bool Actuator::settled() const {
  for (const Member* member : std::as_const(book_).all()) {
    if (member->status.role != InstanceRole::kModelServer || member->status.state != InstanceState::kReady) continue;
    if (member->acked_epoch != table_.epoch || member->put_in_flight) return false;
  }
  return true;
}

void Actuator::send_to(Member& member) {
  if (member.status.state != InstanceState::kReady || member.stopping || member.put_in_flight || member.acked_epoch == table_.epoch) return;
  member.put_in_flight = true;
  caller_.call(member.address, "PUT", "/internal/routing-table", encoded_,
               [this, id = member.status.id, pid = member.status.pid, sent = table_.epoch](Result<std::string> answer) {
                 answered(id, pid, sent, std::move(answer));
               });
}

void Actuator::answered(const InstanceId& id, std::int64_t pid, std::uint64_t sent, Result<std::string> answer) {
  Member* member = book_.find(id);
  if (member == nullptr || member->status.pid != pid) return;  // another process by now
  member->put_in_flight = false;
  const Result<std::uint64_t> epoch = answer ? epoch_of(*answer) : Result<std::uint64_t>(fail(answer.error()));
  if (!epoch) return on_failure_(epoch.error());
  if (*epoch != sent)
    return on_failure_({ErrorCode::kFailedPrecondition, fmt::format("{} took routing epoch {} for {}", id, *epoch, sent)});
  member->acked_epoch = sent;
  send_to(*member);  // a newer table may have come meanwhile
  if (settled()) on_settled_();
}

}  // namespace flexpert::controller
