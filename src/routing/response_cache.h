#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/clock.h"

namespace flexpert::routing {

/// A keyed digest (HMAC-SHA-256 under a secret of the process) of everything that an answer depends on: see cache_key.h. Nobody
/// without the secret can make two requests with the same key, or find out what was asked.
using CacheKey = std::array<std::uint8_t, 32>;

struct CacheKeyHash {
  /// The digest is keyed, so its first bytes are as good as any hash.
  std::size_t operator()(const CacheKey& key) const noexcept;
};

/// A whole, successful answer. Immutable and shared.
struct CachedAnswer {
  std::string content_type;
  std::string body;
  std::uint64_t prompt_tokens = 0;
  std::uint64_t completion_tokens = 0;
};

/// Answers by key: at most so many bytes, the least recently used go first. Answers past their time stay until they are pushed
/// out, for a gateway that answers from the cache under overload. Pure; belongs to one thread.
class ResponseCache {
 public:
  /// `max_entry_bytes`: a larger answer is not kept.
  ResponseCache(std::uint64_t max_bytes, std::uint64_t max_entry_bytes, Duration ttl);

  struct Found {
    std::shared_ptr<const CachedAnswer> answer;  ///< null: there is none
    bool stale = false;                          ///< past its time
  };
  /// Returns the answer; one past its time only if `even_stale`.
  Found find(const CacheKey& key, TimePoint now, bool even_stale);
  /// Keeps `answer` instead of what was there; returns whether it was small enough.
  bool put(const CacheKey& key, std::shared_ptr<const CachedAnswer> answer, TimePoint now);
  void clear();

  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  [[nodiscard]] std::size_t entries() const { return entries_.size(); }

 private:
  struct Entry {
    CacheKey key;
    std::shared_ptr<const CachedAnswer> answer;
    TimePoint stored;
    std::uint64_t bytes;
  };
  void drop(std::list<Entry>::iterator entry);

  std::uint64_t max_bytes_;
  std::uint64_t max_entry_bytes_;
  Duration ttl_;
  std::uint64_t bytes_ = 0;
  std::list<Entry> entries_;  ///< the most recently used first
  std::unordered_map<CacheKey, std::list<Entry>::iterator, CacheKeyHash> by_key_;
};

}  // namespace flexpert::routing
