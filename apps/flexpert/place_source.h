#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "base/result.h"
#include "net/address.h"

namespace flexpert::app {

/// The most bytes that any input of `flexpert place` may have, unpacked.
inline constexpr std::size_t kMostPlaceBytes = std::size_t{1} << 30;

/// Bytes of an input, and what its form can be guessed from.
struct PlaceBytes {
  std::string name;   ///< for messages: the file's, "stdin", "inline JSON", the URL
  std::string path;   ///< within a bundle: what followed '#'
  std::string bytes;  ///< gzip is unpacked
};

/// Returns the address that `source` names if it is one of a running program: "http://HOST:PORT", "unix:PATH".
std::optional<Result<net::Address>> engine_address(const std::string& source);

/// Reads "-" (stdin), inline JSON, or a file, "FILE#PATH" too. Errors name the source.
Result<PlaceBytes> read_place_bytes(const std::string& source);

/// Writes to a file by rename, or to stdout for "-".
Result<void> write_place_bytes(const std::string& target, const std::string& bytes);

}  // namespace flexpert::app
