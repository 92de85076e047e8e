#include "engine/tokenizer/model_folder.h"

#include <filesystem>
#include <fstream>

namespace flexpert::engine {

Result<std::optional<std::string>> read_model_file(const std::string& path, std::size_t most) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return std::optional<std::string>();
  if (!std::filesystem::is_regular_file(path, error)) return fail(ErrorCode::kInvalidArgument, "not a regular file: {}", path);
  const auto size = std::filesystem::file_size(path, error);
  if (error) return fail(ErrorCode::kUnavailable, "cannot read file: {}: {}", path, error.message());
  if (size > most) return fail(ErrorCode::kInvalidArgument, "file is larger than the allowed {} bytes: {}", most, path);
  std::ifstream file(path, std::ios::binary);
  std::string text(size, '\0');
  if (!file.read(text.data(), static_cast<std::streamsize>(size))) return fail(ErrorCode::kUnavailable, "cannot read file: {}", path);
  return std::optional(std::move(text));
}

}  // namespace flexpert::engine
