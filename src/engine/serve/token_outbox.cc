#include "engine/serve/token_outbox.h"

#include <utility>

namespace flexpert::engine {
namespace {

class OutboxSink final : public GenerationSink {
 public:
  OutboxSink(std::shared_ptr<TokenOutbox> outbox, std::uint64_t key) : outbox_(std::move(outbox)), key_(key) {}
  void on_token(const GeneratedToken& token) override { outbox_->push({.key = key_, .token = token, .end = std::nullopt}); }
  void on_finish(FinishReason reason, std::string text, GenerationUsage usage, const std::optional<Error>& error) override {
    outbox_->push({.key = key_, .token = {}, .end = GenerationEnd{reason, std::move(text), usage, error}});
  }

 private:
  std::shared_ptr<TokenOutbox> outbox_;
  std::uint64_t key_;
};

}  // namespace

std::unique_ptr<GenerationSink> TokenOutbox::sink_for(std::uint64_t key) { return std::make_unique<OutboxSink>(shared_from_this(), key); }

void TokenOutbox::push(TokenEvent event) {
  bool first = false;
  {
    const MutexLock lock(mutex_);
    first = pending_.empty();
    pending_.push_back(std::move(event));
  }
  if (first) loop_.post([self = shared_from_this()] { self->flush(); });
}

void TokenOutbox::flush() {
  std::vector<TokenEvent> batch;
  {
    const MutexLock lock(mutex_);
    batch.swap(pending_);
  }
  if (deliver_) deliver_(std::move(batch));
}

}  // namespace flexpert::engine
