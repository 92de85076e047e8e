#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "base/result.h"

namespace flexpert::engine {

/// A regular file mapped read-only for its own lifetime. Move-only; reading is safe from any thread. The file must not
/// be shortened while it is mapped: replace it by rename.
class MappedFile {
 public:
  /// Errors: kNotFound, kPermissionDenied, or kInvalidArgument for what is not a regular file; all name the path.
  static Result<MappedFile> open(const std::string& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  [[nodiscard]] std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  MappedFile(const std::byte* data, std::size_t size) : data_(data), size_(size) {}

  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace flexpert::engine
