#include "flexpert/files.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <unistd.h>

namespace flexpert::app {

Result<std::string> read_text_file(const std::string& path) {
  constexpr std::uintmax_t kLargest = 64 * 1024 * 1024;
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  if (error) return fail(ErrorCode::kNotFound, "file cannot be read: {}: {}", path, error.message());
  if (size > kLargest) return fail(ErrorCode::kInvalidArgument, "file is larger than 64 MiB: {}", path);
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  if (!file) return fail(ErrorCode::kNotFound, "file cannot be read: {}: {}", path, std::strerror(errno));
  return text.str();
}

Result<void> write_text_file(const std::string& path, std::string_view text) {
  const std::string temporary = path + ".tmp" + std::to_string(getpid());
  std::FILE* file = std::fopen(temporary.c_str(), "wb");
  if (file == nullptr) return fail(ErrorCode::kUnavailable, "file cannot be written: {}: {}", path, std::strerror(errno));
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  const bool closed = std::fclose(file) == 0;
  if (!written || !closed || std::rename(temporary.c_str(), path.c_str()) != 0) {
    const std::string reason = std::strerror(errno);
    std::remove(temporary.c_str());
    return fail(ErrorCode::kUnavailable, "file cannot be written: {}: {}", path, reason);
  }
  return {};
}

Result<std::vector<workload::PromptSet>> read_prompt_sets(const std::vector<std::string>& paths) {
  std::vector<workload::PromptSet> sets;
  for (const std::string& path : paths) {
    FLEXPERT_ASSIGN(const std::string text, read_text_file(path));
    FLEXPERT_ASSIGN(workload::PromptSet set, workload::parse_prompt_set(text, path));
    sets.push_back(std::move(set));
  }
  return sets;
}

}  // namespace flexpert::app
