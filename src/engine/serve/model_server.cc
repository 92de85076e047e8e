#include "engine/serve/model_server.h"

#include <filesystem>
#include <utility>

#include "base/log.h"
#include "codec/internal_grant.h"
#include "engine/expert/instance_rows.h"
#include "engine/expert/pack_file.h"
#include "engine/expert/remote_experts.h"
#include "engine/kernels/compute_pool.h"
#include "engine/kernels/kernels.h"
#include "engine/serve/balanced_experts.h"
#include "engine/serve/http_front.h"
#include "engine/serve/pace_profile.h"
#include "engine/serve/pack_cache.h"
#include "engine/serve/server_names.h"
#include "engine/tokenizer/chat_template.h"
#include "engine/weights/checkpoint.h"

namespace flexpert::engine {
namespace {

/// How long expert servers of its own may take to answer at start.
constexpr Duration kConnectWait = Seconds(5);

/// Members are destroyed from the last to the first: HTTP, then the engine with its thread, then what that thread used.
class LoadedModelServer final : public ModelServer {
 public:
  LoadedModelServer(ModelServerOptions options, const Clock& clock) : options_(std::move(options)), clock_(clock) {}

  Result<void> load(net::EventLoop& loop) {
    if (!options_.pace_profile.empty()) {
      FLEXPERT_ASSIGN(options_.engine.pace, read_pace_profile(options_.pace_profile));
    }
    FLEXPERT_ASSIGN(checkpoint_, Checkpoint::open(options_.model_folder));
    FLEXPERT_ASSIGN(tokenizer_, Tokenizer::open(options_.model_folder));
    FLEXPERT_ASSIGN(chat_template_, ChatTemplate::open(options_.model_folder));
    FLEXPERT_ASSIGN(pack_, open_pack(*checkpoint_, options_.pack_path, options_.cache_folder));
    if (options_.served_name.empty()) options_.served_name = folder_name(options_.model_folder);

    const ModelConfig& config = checkpoint_->config();
    FLEXPERT_TRY(validate(options_.eplb, config));
    FLEXPERT_TRY(placement::validate(options_.recorder, config.expert_geometry()));
    recorder_ = std::make_unique<placement::Recorder>(config.expert_geometry(), options_.recorder);
    options_.engine.recorder = recorder_.get();

    pool_ = std::make_unique<ComputePool>(options_.engine.threads);
    experts_ = std::make_unique<RemoteExperts>(pack_, *pool_, RemoteExpertsOptions{.model_fingerprint = checkpoint_->fingerprint(), .expert_dispatch = options_.dispatch}, registry_, clock_);
    options_.engine.pool = pool_.get();
    std::shared_ptr<const RoutingTable> own_table;
    if (!options_.eplb.servers.empty()) {
      FLEXPERT_ASSIGN(own_table, place_experts(loop));
    }
    ExpertExecutor& executor = balanced_ ? static_cast<ExpertExecutor&>(*balanced_) : *experts_;
    FLEXPERT_ASSIGN(engine_, Engine::start(checkpoint_, tokenizer_, executor, options_.engine, registry_, clock_));

    instance_rows_ = InstanceRows::create(loop,
                                          {.model_fingerprint = checkpoint_->fingerprint(),
                                           .kernel_identity = kernel_identity(),
                                           .hidden = pack_->hidden_size(),
                                           .geometry = pack_->geometry()},
                                          clock_);
    ServedModel model{.name = options_.served_name,
                      .fingerprint = checkpoint_->fingerprint(),
                      .engine = *engine_,
                      .tokenizer = *tokenizer_,
                      .chat_template = *chat_template_,
                      .experts = {.set_routing_table = [this](auto table) { return experts_->set_routing_table(std::move(table)); },
                                  .rows = *instance_rows_,
                                  .in_process_rows = [this] { return experts_->in_process_rows(); },
                                  .own_placement = own_table != nullptr},
                      .metrics = registry_,
                      .clock = clock_,
                      .kv_block_tokens = options_.engine.kv_block_tokens,
                      .paced = options_.engine.pace.has_value(),
                      .recorder = recorder_.get(),
                      .recording_folder = options_.recording_folder,
                      .internal_secret = options_.internal_secret};
    http::ServerLimits limits;
    limits.max_body_bytes = options_.max_body_bytes;
    if (!options_.internal_secret.empty()) limits.max_head_bytes += codec::kMostInternalGrantBytes;
    front_ = std::make_unique<HttpFront>(loop, std::move(model), limits);
    if (own_table) front_->adopt(std::move(own_table));
    return {};
  }

  Result<net::Address> listen(const net::Address& address) override { return front_->listen(address); }
  void drain(Duration deadline, std::move_only_function<void()> done) override { front_->drain(deadline, std::move(done)); }
  const std::string& served_name() const override { return options_.served_name; }

 private:
  /// Spreads the experts over the servers of the options and, if they say so, keeps them balanced.
  Result<std::shared_ptr<const RoutingTable>> place_experts(net::EventLoop& loop) {
    const ModelConfig& config = checkpoint_->config();
    FLEXPERT_ASSIGN(const ExpertLayout layout, initial_layout(options_.eplb, config));
    FLEXPERT_ASSIGN(options_.eplb.names, names_of_servers(options_.eplb.servers,
                                                          {.model_fingerprint = checkpoint_->fingerprint(),
                                                           .model_epoch = 0,
                                                           .kernel_identity = kernel_identity(),
                                                           .hidden = pack_->hidden_size(),
                                                           .geometry = pack_->geometry()},
                                                          kConnectWait));
    auto table = std::make_shared<const RoutingTable>(table_of(layout, options_.eplb, config, 1));
    FLEXPERT_TRY(experts_->set_routing_table(table));
    if (!experts_->wait_connected(kConnectWait))
      log::warn("not every expert server answers yet: what they do not compute is computed here");
    if (!options_.eplb.rebalance) return table;
    FLEXPERT_ASSIGN(LayoutPlanner planner, LayoutPlanner::create(layout, options_.eplb, bytes_per_expert(*pack_)));
    TableSwap swap{.set = [this](auto next) { return experts_->set_routing_table(std::move(next)); },
                   .on_set = [this, &loop, weak = std::weak_ptr(alive_)](auto next) {
                     loop.post([this, weak, next = std::move(next)] {
                       if (!weak.expired()) front_->adopt(next);
                     });
                   }};
    balanced_ = std::make_unique<BalancedExperts>(*experts_, std::move(planner), options_.eplb, config, *table, std::move(swap), registry_, clock_);
    return table;
  }

  static std::string folder_name(const std::string& folder) {
    std::error_code error;
    const auto path = std::filesystem::weakly_canonical(folder, error);
    const std::string name = error ? std::string() : path.filename().string();
    return name.empty() ? "model" : name;
  }

  ModelServerOptions options_;
  const Clock& clock_;
  telemetry::Registry registry_;
  std::shared_ptr<const Checkpoint> checkpoint_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::shared_ptr<const ChatTemplate> chat_template_;
  std::shared_ptr<const PackFile> pack_;
  std::unique_ptr<ComputePool> pool_;
  std::unique_ptr<placement::Recorder> recorder_;
  std::unique_ptr<RemoteExperts> experts_;
  std::unique_ptr<BalancedExperts> balanced_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<InstanceRows> instance_rows_;
  std::unique_ptr<HttpFront> front_;
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
};

}  // namespace

Result<std::unique_ptr<ModelServer>> ModelServer::create(net::EventLoop& loop, ModelServerOptions options, const Clock& clock) {
  auto server = std::make_unique<LoadedModelServer>(std::move(options), clock);
  FLEXPERT_TRY(server->load(loop));
  log::info("model {} is loaded", server->served_name());
  return server;
}

}  // namespace flexpert::engine
