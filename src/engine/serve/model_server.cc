#include "engine/serve/model_server.h"

#include <filesystem>
#include <utility>

#include "base/log.h"
#include "engine/expert/instance_rows.h"
#include "engine/expert/pack_file.h"
#include "engine/expert/remote_experts.h"
#include "engine/kernels/compute_pool.h"
#include "engine/kernels/kernels.h"
#include "engine/serve/http_front.h"
#include "engine/serve/pace_profile.h"
#include "engine/serve/pack_cache.h"
#include "engine/tokenizer/chat_template.h"
#include "engine/weights/checkpoint.h"

namespace flexpert::engine {
namespace {

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

    pool_ = std::make_unique<ComputePool>(options_.engine.threads);
    experts_ = std::make_unique<RemoteExperts>(pack_, *pool_, RemoteExpertsOptions{.model_fingerprint = checkpoint_->fingerprint()}, registry_, clock_);
    options_.engine.pool = pool_.get();
    FLEXPERT_ASSIGN(engine_, Engine::start(checkpoint_, tokenizer_, *experts_, options_.engine, registry_, clock_));

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
                                  .rows = *instance_rows_},
                      .metrics = registry_,
                      .clock = clock_,
                      .kv_block_tokens = options_.engine.kv_block_tokens,
                      .paced = options_.engine.pace.has_value()};
    http::ServerLimits limits;
    limits.max_body_bytes = options_.max_body_bytes;
    front_ = std::make_unique<HttpFront>(loop, std::move(model), limits);
    return {};
  }

  Result<net::Address> listen(const net::Address& address) override { return front_->listen(address); }
  void drain(Duration deadline, std::move_only_function<void()> done) override { front_->drain(deadline, std::move(done)); }
  const std::string& served_name() const override { return options_.served_name; }

 private:
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
  std::unique_ptr<RemoteExperts> experts_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<InstanceRows> instance_rows_;
  std::unique_ptr<HttpFront> front_;
};

}  // namespace

Result<std::unique_ptr<ModelServer>> ModelServer::create(net::EventLoop& loop, ModelServerOptions options, const Clock& clock) {
  auto server = std::make_unique<LoadedModelServer>(std::move(options), clock);
  FLEXPERT_TRY(server->load(loop));
  log::info("model {} is loaded", server->served_name());
  return server;
}

}  // namespace flexpert::engine
