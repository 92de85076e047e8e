#include "http/outbound.h"

#include <algorithm>

#include "http/outbound_connection.h"

namespace flexpert::http {

OutboundShared::OutboundShared(net::EventLoop& event_loop, OutboundOptions outbound_options)
    : loop(event_loop),
      options(outbound_options),
      connections(event_loop),
      head_reader(codec::Http1Limits{.max_head_bytes = outbound_options.max_head_bytes}) {}

OutboundShared::~OutboundShared() { close_all(); }

void OutboundShared::close_all() {
  stopped = true;
  while (!connections.empty()) {
    OutboundConnection& connection = connections.back();
    connection.close();
    connections.remove(connection);
  }
}

OutboundPool::OutboundPool(std::shared_ptr<OutboundShared> shared, net::Address upstream, ClientTls upstream_tls)
    : address(std::move(upstream)), tls(std::move(upstream_tls)), shared_(std::move(shared)) {}

OutboundPool::~OutboundPool() {
  for (std::size_t i = shared_->connections.size(); i > 0; --i) {  // removing one puts the last in its place
    OutboundConnection& connection = shared_->connections[i - 1];
    if (!connection.belongs_to(*this)) continue;
    if (connection.idle()) {
      connection.close();
      shared_->connections.remove(connection);
    } else {
      connection.orphan();
    }
  }
}

OutboundRequest* OutboundPool::send(std::string_view head, std::span<const std::string_view> body, bool answers_head,
                                    OutboundListener& listener) {
  OutboundConnection* connection = nullptr;
  if (idle_.empty()) {
    connection = &shared_->connections.add(std::make_unique<OutboundConnection>(*shared_, *this));
  } else {
    connection = idle_.back();
    idle_.pop_back();
  }
  connection->begin(head, body, answers_head, listener);
  return connection;
}

void OutboundPool::keep(OutboundConnection& connection) {
  idle_.push_back(&connection);
  if (idle_.size() <= shared_->options.max_idle_connections) return;
  OutboundConnection& oldest = *idle_.front();
  oldest.close();
  shared_->connections.remove(oldest);
}

Outbound::Outbound(net::EventLoop& loop, OutboundOptions options)
    : shared_(new OutboundShared(loop, options), [&loop](OutboundShared* shared) { loop.bury(std::unique_ptr<OutboundShared>(shared)); }) {}

Outbound::~Outbound() { shared_->close_all(); }

std::unique_ptr<OutboundUpstream> Outbound::connect(const net::Address& address, ClientTls tls) {
  return std::make_unique<OutboundPool>(shared_, address, std::move(tls));
}

}  // namespace flexpert::http
