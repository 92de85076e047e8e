#include "authorization/wire_tap.h"

#include <cstring>

#include <sys/epoll.h>

#include "net/socket.h"

namespace flexpert::bench {

namespace wire = expert_protocol;

/// One connection of a model server and the one that goes on.
class WireTap::Pair {
 public:
  Pair(WireTap& tap, net::UniqueFd accepted) : tap_(tap), client_side_(*this), server_side_(*this), client_(tap.loop_, std::move(accepted),
      &client_side_) {}

  Result<void> begin() {
    FLEXPERT_ASSIGN(server_, net::Stream::connect(tap_.loop_, tap_.target_, Seconds(5), &server_side_));
    return {};
  }

 private:
  struct ClientSide final : net::StreamHandler {
    explicit ClientSide(Pair& the_pair) : pair(the_pair) {}
    void on_bytes(std::string_view bytes) override {
      pair.count(bytes);
      pair.server_->write(bytes);
    }
    void on_closed(const Error* /*error*/) override { pair.tap_.over(&pair); }
    Pair& pair;
  };
  struct ServerSide final : net::StreamHandler {
    explicit ServerSide(Pair& the_pair) : pair(the_pair) {}
    void on_bytes(std::string_view bytes) override { pair.client_.write(bytes); }
    void on_closed(const Error* /*error*/) override { pair.tap_.over(&pair); }
    Pair& pair;
  };

  void count(std::string_view bytes) {
    std::memcpy(decoder_.space(bytes.size()).data(), bytes.data(), bytes.size());
    decoder_.received(bytes.size());
    while (!lost_) {
      const auto frame = decoder_.next();
      lost_ = !frame;
      if (lost_) ++tap_.malformed_;
      if (lost_ || !*frame) return;
      if ((*frame)->type != wire::FrameType::kBatch) continue;
      const auto batch = wire::decode_batch((*frame)->payload);
      if (!batch) {
        ++tap_.malformed_;
        continue;
      }
      for (const wire::BatchGroup& group : batch->groups)
        if (tap_.geometry_.contains({batch->layer, group.expert})) tap_.counts_[tap_.geometry_.index({batch->layer,
            group.expert})] += group.rows;
    }
  }

  WireTap& tap_;
  ClientSide client_side_;
  ServerSide server_side_;
  wire::FrameDecoder decoder_;
  bool lost_ = false;
  net::Stream client_;
  std::unique_ptr<net::Stream> server_;
};

WireTap::WireTap(net::EventLoop& loop, ExpertGeometry geometry, std::vector<std::uint64_t>& counts) : loop_(loop), geometry_(geometry),
    counts_(counts) {}

WireTap::~WireTap() {
  if (listening_) loop_.unwatch(listening_.get());
}

Result<void> WireTap::listen(const std::string& path, net::Address target) {
  target_ = std::move(target);
  FLEXPERT_ASSIGN(const net::Address address, net::Address::parse("unix:" + path));
  FLEXPERT_ASSIGN(listening_, net::listen_on(address));
  loop_.watch(listening_.get(), EPOLLIN, this);
  return {};
}

void WireTap::on_events(std::uint32_t /*events*/) {
  while (auto accepted = net::accept_one(listening_.get())) {
    auto pair = std::make_unique<Pair>(*this, std::move(*accepted));
    // A server that is not there: the model server sees its connection end, as it would without us.
    if (pair->begin()) pairs_.push_back(std::move(pair));
  }
}

void WireTap::over(Pair* pair) {
  std::erase_if(pairs_, [&](const auto& one) { return one.get() == pair; });
}

}  // namespace flexpert::bench
