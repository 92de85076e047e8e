#pragma once

#include <cstddef>
#include <cstring>
#include <string>

namespace flexpert {

/// Appends pieces of text in one go: one check of the capacity for all. None may be a part of `out`.
template <class... Texts>
void append_all(std::string& out, const Texts&... texts) {
  const std::size_t before = out.size();
  out.resize_and_overwrite((before + ... + texts.size()), [&](char* text, std::size_t) {  // libstdc++ 12 gives the capacity there
    char* at = text + before;
    const auto append = [&at](const auto& piece) {
      if (piece.empty()) return;  // it may be null
      std::memcpy(at, piece.data(), piece.size());
      at += piece.size();
    };
    (append(texts), ...);
    return static_cast<std::size_t>(at - text);
  });
}

}  // namespace flexpert
