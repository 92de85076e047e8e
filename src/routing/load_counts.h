#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

namespace flexpert::routing {

/// Counts what is in flight per name, and when each name was last taken. Names come and go with their load; a name
/// that nobody knows has none. Belongs to one thread and outlives its tickets.
class LoadCounts {
 public:
  /// One unit of load; it is given back when the ticket dies, however the request ended.
  class Ticket {
   public:
    Ticket() = default;
    Ticket(Ticket&& other) noexcept : count_(std::exchange(other.count_, nullptr)) {}
    Ticket& operator=(Ticket&& other) noexcept {
      if (this != &other) {
        release();
        count_ = std::exchange(other.count_, nullptr);
      }
      return *this;
    }
    ~Ticket() { release(); }
    /// Gives the load back early. Safe to repeat.
    void release() {
      if (count_ != nullptr) --*count_;
      count_ = nullptr;
    }

   private:
    friend class LoadCounts;
    explicit Ticket(std::uint32_t* count) : count_(count) { ++*count_; }
    std::uint32_t* count_ = nullptr;
  };

  LoadCounts() = default;
  LoadCounts(const LoadCounts&) = delete;
  LoadCounts& operator=(const LoadCounts&) = delete;

  /// Adds one to `name` until the ticket dies, and makes `name` the most recently used.
  [[nodiscard]] Ticket take(const std::string& name) {
    Entry& entry = entries_[name];
    entry.last_used = ++sequence_;
    return Ticket(&entry.in_flight);
  }
  [[nodiscard]] std::uint32_t in_flight(const std::string& name) const {
    const auto entry = entries_.find(name);
    return entry == entries_.end() ? 0 : entry->second.in_flight;
  }
  /// Returns a number that grows with every take(); 0 if `name` was never taken.
  [[nodiscard]] std::uint64_t last_used(const std::string& name) const {
    const auto entry = entries_.find(name);
    return entry == entries_.end() ? 0 : entry->second.last_used;
  }
  /// Returns the sum over all names.
  [[nodiscard]] std::uint64_t total() const {
    std::uint64_t sum = 0;
    for (const auto& [name, entry] : entries_) sum += entry.in_flight;
    return sum;
  }
  /// Forgets the names that `keep(name)` denies and that carry no load, so that names do not pile up.
  template <class Keep>
  void forget_unless(Keep keep) {
    std::erase_if(entries_, [&](const auto& item) { return item.second.in_flight == 0 && !keep(item.first); });
  }

 private:
  struct Entry {
    std::uint32_t in_flight = 0;
    std::uint64_t last_used = 0;
  };
  std::map<std::string, Entry> entries_;  // its nodes stay where they are: tickets point into them
  std::uint64_t sequence_ = 0;
};

}  // namespace flexpert::routing
