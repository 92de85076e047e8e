#include "controller/server_rows.h"

#include <algorithm>
#include <cstring>

#include "base/log.h"
#include "net/stream.h"

namespace flexpert::controller {

namespace wire = expert_protocol;

namespace {

constexpr Duration kLongest = Seconds(1);

std::string_view text_of(const wire::Bytes& bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

}  // namespace

/// One connection: hello, stats, and its end.
class ServerRows::Inquiry final : public net::StreamHandler {
 public:
  Inquiry(ServerRows& owner, Target target, OnRows on_rows) : owner_(owner), target_(std::move(target)), on_rows_(std::move(on_rows)) {}
  ~Inquiry() override { owner_.loop_.cancel(timer_); }

  [[nodiscard]] const InstanceId& id() const { return target_.id; }

  /// Errors: a connect that fails at once.
  Result<void> begin() {
    FLEXPERT_ASSIGN(stream_, net::Stream::connect(owner_.loop_, target_.address, kLongest, this));
    timer_ = owner_.loop_.call_after(kLongest, [this] {
      timer_ = 0;
      owner_.over(this);
    });
    wire::Bytes out;
    wire::encode(out, 1, owner_.hello_);
    stream_->write(text_of(out));
    return {};
  }

  void on_bytes(std::string_view bytes) override {
    std::memcpy(decoder_.space(bytes.size()).data(), bytes.data(), bytes.size());
    decoder_.received(bytes.size());
    while (true) {
      const auto frame = decoder_.next();
      if (!frame) return fail_with(frame.error());
      if (!*frame) return;
      if ((*frame)->type == wire::FrameType::kHelloReply) {
        wire::Bytes out;
        wire::encode_empty(out, 2, wire::FrameType::kStats);
        stream_->write(text_of(out));
      } else if ((*frame)->type == wire::FrameType::kStatsReply) {
        const auto stats = wire::decode_stats_reply((*frame)->payload);
        if (!stats) return fail_with(stats.error());
        on_rows_(target_.id, stats->slots);
        return owner_.over(this);
      } else {
        const auto error = wire::decode_error((*frame)->payload);
        return fail_with(error ? Error{error->code, error->text} : error.error());
      }
    }
  }

  void on_closed(const Error* /*error*/) override { owner_.over(this); }  // it stops or has died, which others notice

 private:
  void fail_with(const Error& error) {
    log::warn("controller: {} does not tell its rows: {}", target_.id, error.message);
    owner_.over(this);
  }

  ServerRows& owner_;
  Target target_;
  OnRows on_rows_;
  wire::FrameDecoder decoder_;
  std::unique_ptr<net::Stream> stream_;
  net::TimerId timer_ = 0;
};

ServerRows::ServerRows(net::EventLoop& loop, wire::Hello hello) : loop_(loop), hello_(std::move(hello)) {}
ServerRows::~ServerRows() = default;

void ServerRows::poll(const std::vector<Target>& targets, const OnRows& on_rows) {
  for (const Target& target : targets) {
    if (std::any_of(inquiries_.begin(), inquiries_.end(), [&](const auto& one) { return one->id() == target.id; })) continue;
    auto inquiry = std::make_unique<Inquiry>(*this, target, on_rows);
    if (inquiry->begin()) inquiries_.push_back(std::move(inquiry));
  }
}

void ServerRows::over(Inquiry* inquiry) {
  std::erase_if(inquiries_, [&](const auto& one) { return one.get() == inquiry; });
}

}  // namespace flexpert::controller
