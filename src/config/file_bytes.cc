#include "config/file_bytes.h"

#include <cstdint>
#include <filesystem>
#include <fstream>

namespace flexpert::config {
namespace {

constexpr std::uintmax_t kMostBytes = 64 * 1024 * 1024;

}  // namespace

Result<std::string> read_file_bytes(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return fail(ErrorCode::kNotFound, "{} is not there or not a file", path);
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  if (error || size > kMostBytes) return fail(ErrorCode::kInvalidArgument, "{} cannot be read or has over {} bytes", path, kMostBytes);
  std::ifstream file(path, std::ios::binary);
  std::string bytes(static_cast<std::size_t>(size), '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!file) return fail(ErrorCode::kNotFound, "{} cannot be read", path);
  return bytes;
}

}  // namespace flexpert::config
