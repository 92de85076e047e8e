#include "routing/response_cache.h"

#include <cstring>
#include <utility>

namespace flexpert::routing {
namespace {

/// What an entry takes beyond its texts: list node, table node, shared block.
constexpr std::uint64_t kEntryOverhead = 320;

}  // namespace

std::size_t CacheKeyHash::operator()(const CacheKey& key) const noexcept {
  std::size_t hash = 0;
  std::memcpy(&hash, key.data(), sizeof hash);
  return hash;
}

ResponseCache::ResponseCache(std::uint64_t max_bytes, std::uint64_t max_entry_bytes, Duration ttl)
    : max_bytes_(max_bytes), max_entry_bytes_(max_entry_bytes), ttl_(ttl) {}

ResponseCache::Found ResponseCache::find(const CacheKey& key, TimePoint now, bool even_stale) {
  const auto known = by_key_.find(key);
  if (known == by_key_.end()) return {};
  const auto entry = known->second;
  const bool stale = now - entry->stored >= ttl_;
  if (stale && !even_stale) return {};
  entries_.splice(entries_.begin(), entries_, entry);
  return {entry->answer, stale};
}

bool ResponseCache::put(const CacheKey& key, std::shared_ptr<const CachedAnswer> answer, TimePoint now) {
  const std::uint64_t bytes = kEntryOverhead + answer->body.size() + answer->content_type.size();
  if (answer->body.size() > max_entry_bytes_ || bytes > max_bytes_) return false;
  if (const auto known = by_key_.find(key); known != by_key_.end()) drop(known->second);
  while (bytes_ + bytes > max_bytes_) drop(std::prev(entries_.end()));
  entries_.push_front({key, std::move(answer), now, bytes});
  by_key_[key] = entries_.begin();
  bytes_ += bytes;
  return true;
}

void ResponseCache::drop(std::list<Entry>::iterator entry) {
  bytes_ -= entry->bytes;
  by_key_.erase(entry->key);
  entries_.erase(entry);
}

void ResponseCache::clear() {
  by_key_.clear();
  entries_.clear();
  bytes_ = 0;
}

}  // namespace flexpert::routing
