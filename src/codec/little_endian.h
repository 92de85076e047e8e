#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

/// Numbers in files, byte by byte. Private to the codecs.
namespace flexpert::codec {

/// Reads an unsigned number at `at`. Precondition: its bytes are there.
template <class Unsigned>
Unsigned load_le(std::string_view bytes, std::size_t at) {
  Unsigned value = 0;
  for (std::size_t i = 0; i < sizeof(Unsigned); ++i)
    value =
        static_cast<Unsigned>(value | static_cast<Unsigned>(static_cast<Unsigned>(static_cast<unsigned char>(bytes[at + i])) << (8 * i)));
  return value;
}

template <class Unsigned>
void append_le(std::string& out, Unsigned value) {
  for (std::size_t i = 0; i < sizeof(Unsigned); ++i) out += static_cast<char>(static_cast<unsigned char>(value >> (8 * i)));
}

/// Reads the element `index` of an array of T in either byte order. Precondition: it is there.
template <class T>
T load_element(std::string_view bytes, std::size_t index, bool big_endian) {
  unsigned char raw[sizeof(T)];
  std::memcpy(raw, bytes.data() + index * sizeof(T), sizeof(T));
  if constexpr (sizeof(T) > 1) {
    if (big_endian != (std::endian::native == std::endian::big))
      for (std::size_t i = 0; i < sizeof(T) / 2; ++i) std::swap(raw[i], raw[sizeof(T) - 1 - i]);
  }
  T value;
  std::memcpy(&value, raw, sizeof(T));
  return value;
}

}  // namespace flexpert::codec
