#include "http/outbound.h"

#include <algorithm>

#include "http/outbound_connection.h"

namespace flexpert::http {

OutboundShared::OutboundShared(net::EventLoop& event_loop, OutboundOptions outbound_options)
    : loop(event_loop), options(outbound_options), head_reader(codec::Http1Limits{.max_head_bytes = outbound_options.max_head_bytes}) {}

OutboundShared::~OutboundShared() {
  loop.forget(*this);
  close_all();
}

OutboundConnection& OutboundShared::add(OutboundPool& pool) {
  auto connection = std::make_unique<OutboundConnection>(*this, pool);
  connection->place = connections.size();
  connections.push_back(std::move(connection));
  return *connections.back();
}

void OutboundShared::remove(OutboundConnection& connection) {
  if (connection.touched) {
    std::erase(touched_, &connection);
    std::replace(settling_.begin(), settling_.end(), &connection, static_cast<OutboundConnection*>(nullptr));
  }
  const std::size_t place = connection.place;
  auto removed = std::move(connections[place]);
  if (place + 1 < connections.size()) {
    connections[place] = std::move(connections.back());
    connections[place]->place = place;
  }
  connections.pop_back();
  loop.bury(std::move(removed));
}

void OutboundShared::touch(OutboundConnection& connection) {
  if (std::exchange(connection.touched, true)) return;
  touched_.push_back(&connection);
  loop.after_event(*this);
}

void OutboundShared::after_event() {
  settling_.swap(touched_);
  for (std::size_t i = 0; i < settling_.size(); ++i) {
    OutboundConnection* const connection = std::exchange(settling_[i], nullptr);
    if (connection == nullptr) continue;
    connection->touched = false;
    connection->settle();
  }
  settling_.clear();
}

void OutboundShared::close_all() {
  stopped = true;
  while (!connections.empty()) {
    OutboundConnection& connection = *connections.back();
    connection.close();
    remove(connection);
  }
}

OutboundPool::OutboundPool(std::shared_ptr<OutboundShared> shared, net::Address upstream, ClientTls upstream_tls)
    : address(std::move(upstream)), tls(std::move(upstream_tls)), shared_(std::move(shared)) {}

OutboundPool::~OutboundPool() {
  for (std::size_t i = shared_->connections.size(); i > 0; --i) {  // removing one puts the last in its place
    OutboundConnection& connection = *shared_->connections[i - 1];
    if (!connection.belongs_to(*this)) continue;
    if (connection.idle()) {
      connection.close();
      shared_->remove(connection);
    } else {
      connection.orphan();
    }
  }
}

OutboundRequest* OutboundPool::send(std::string_view head, std::span<const std::string_view> body, bool answers_head,
                                    OutboundListener& listener) {
  OutboundConnection* connection = nullptr;
  if (idle_.empty()) {
    connection = &shared_->add(*this);
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
  shared_->remove(oldest);
}

Outbound::Outbound(net::EventLoop& loop, OutboundOptions options)
    : shared_(new OutboundShared(loop, options), [&loop](OutboundShared* shared) { loop.bury(std::unique_ptr<OutboundShared>(shared)); }) {}

Outbound::~Outbound() { shared_->close_all(); }

std::unique_ptr<OutboundUpstream> Outbound::connect(const net::Address& address, ClientTls tls) {
  return std::make_unique<OutboundPool>(shared_, address, std::move(tls));
}

}  // namespace flexpert::http
