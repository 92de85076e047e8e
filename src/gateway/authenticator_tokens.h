#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "crypto/digest.h"

namespace flexpert::gateway {

/// What is known of tokens by their digests, each until a time. Its size is fixed: in a full row what ends first makes place.
/// The digests must be keyed, so that nobody chooses the row.
template <class Value>
class TokenTable {
 public:
  explicit TokenTable(std::size_t rows) : entries_(rows * kWays) {}

  /// Returns null for what is not known or over at `now_unix_ms`.
  [[nodiscard]] const Value* find(const crypto::Digest& digest, std::int64_t now_unix_ms) const {
    const Entry* const row = &entries_[row_of(digest)];
    for (std::size_t way = 0; way < kWays; ++way)
      if (row[way].until_unix_ms > now_unix_ms && row[way].digest == digest) return &row[way].value;
    return nullptr;
  }

  void put(const crypto::Digest& digest, std::int64_t until_unix_ms, Value value) {
    Entry* const row = &entries_[row_of(digest)];
    Entry* place = row;
    for (std::size_t way = 0; way < kWays; ++way) {
      if (row[way].digest == digest && row[way].until_unix_ms != 0) {
        place = &row[way];
        break;
      }
      if (row[way].until_unix_ms < place->until_unix_ms) place = &row[way];
    }
    *place = Entry{digest, until_unix_ms, std::move(value)};
  }

  void clear() {
    for (Entry& entry : entries_) entry = Entry{};
  }

 private:
  static constexpr std::size_t kWays = 4;
  struct Entry {
    crypto::Digest digest{};
    std::int64_t until_unix_ms = 0;
    Value value{};
  };
  [[nodiscard]] std::size_t row_of(const crypto::Digest& digest) const {
    const std::size_t bits = digest[0] | (static_cast<std::size_t>(digest[1]) << 8U) | (static_cast<std::size_t>(digest[2]) << 16U);
    return bits % (entries_.size() / kWays) * kWays;
  }
  std::vector<Entry> entries_;
};

}  // namespace flexpert::gateway
