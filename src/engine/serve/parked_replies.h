#pragma once

#include <cstdint>
#include <functional>
#include <unordered_map>
#include <utility>

#include "engine/serve/reply.h"

namespace flexpert::engine {

/// Replies that wait for another thread, known there by a number. Belongs to the loop's thread.
class ParkedReplies {
 public:
  /// Returns a number that no reply had before.
  std::uint64_t new_key() { return ++last_key_; }
  /// Keeps `reply` and returns its number.
  std::uint64_t park(Reply reply) { return park_as(new_key(), std::move(reply)); }
  std::uint64_t park_as(std::uint64_t key, Reply reply) {
    waiting_.try_emplace(key, std::move(reply));
    return key;
  }
  /// Gives the reply to `with`, unless it has been dropped.
  void answer(std::uint64_t key, std::move_only_function<void(Reply)> with) {
    const auto found = waiting_.find(key);
    if (found == waiting_.end()) return;
    Reply reply = std::move(found->second);
    waiting_.erase(found);
    with(std::move(reply));
  }
  void drop(std::uint64_t key) { waiting_.erase(key); }
  void drop_all() {
    // Out of the map first: an answer's end may begin the next request of its connection.
    const auto dropped = std::exchange(waiting_, {});
  }

 private:
  std::uint64_t last_key_ = 0;
  std::unordered_map<std::uint64_t, Reply> waiting_;
};

}  // namespace flexpert::engine
