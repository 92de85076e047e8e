#include "http/out_buffer.h"

#include <algorithm>

namespace flexpert::http {

void OutBuffer::make_room(BlockPool& pool, std::size_t bytes) {
  constexpr std::size_t kSmallest = 4096;  // it goes back as soon as it is sent
  const std::size_t held = size();
  if (begin_ >= held && held + bytes <= block_.capacity) {  // moving it to the front is cheaper than what was sent
    std::memmove(block_.data, block_.data + begin_, held);
  } else {
    Block larger = pool.take(std::max({kSmallest, held + bytes, held + held / 2}));
    if (held > 0) std::memcpy(larger.data, data(), held);
    pool.give(block_);
    block_ = larger;
  }
  begin_ = 0;
  end_ = held;
}

}  // namespace flexpert::http
