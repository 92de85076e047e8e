#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "net/event_loop.h"

namespace flexpert::http {

/// The connections of one side, owned, each found by its place, and those of them that have something left to do when the event that
/// touched them is over. A Connection has `std::size_t place`, `bool touched` and `settle()`, and loses both to this list. Belongs to the
/// loop's thread.
template <class Connection>
class ConnectionList final : private net::AfterEvents {
 public:
  explicit ConnectionList(net::EventLoop& loop) : loop_(loop) {}
  ~ConnectionList() override { loop_.forget(*this); }
  ConnectionList(const ConnectionList&) = delete;
  ConnectionList& operator=(const ConnectionList&) = delete;

  Connection& add(std::unique_ptr<Connection> connection) {
    connection->place = all_.size();
    all_.push_back(std::move(connection));
    return *all_.back();
  }
  /// Has `connection` settled after this event.
  void touch(Connection& connection) {
    if (std::exchange(connection.touched, true)) return;
    touched_.push_back(&connection);
    loop_.after_events(*this);
  }
  /// Destroys a connection after this event. The last one takes its place.
  void remove(Connection& connection) {
    if (connection.touched) {
      std::erase(touched_, &connection);
      std::replace(settling_.begin(), settling_.end(), &connection, static_cast<Connection*>(nullptr));
    }
    const std::size_t place = connection.place;
    auto removed = std::move(all_[place]);
    if (place + 1 < all_.size()) {
      all_[place] = std::move(all_.back());
      all_[place]->place = place;
    }
    all_.pop_back();
    loop_.bury(std::move(removed));
  }

  [[nodiscard]] std::size_t size() const { return all_.size(); }
  [[nodiscard]] bool empty() const { return all_.empty(); }
  [[nodiscard]] Connection& back() { return *all_.back(); }
  [[nodiscard]] Connection& operator[](std::size_t place) { return *all_[place]; }

 private:
  /// Those that are touched anew in the meantime, with more to read than one turn allows, wait for the next one.
  void after_events() override {
    settling_.swap(touched_);
    for (std::size_t i = 0; i < settling_.size(); ++i) {
      Connection* const connection = std::exchange(settling_[i], nullptr);
      if (connection == nullptr) continue;
      connection->touched = false;
      connection->settle();
    }
    settling_.clear();
  }

  net::EventLoop& loop_;
  std::vector<std::unique_ptr<Connection>> all_;
  std::vector<Connection*> touched_;
  std::vector<Connection*> settling_;  ///< those of them whose turn it is
};

}  // namespace flexpert::http
