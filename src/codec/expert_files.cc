#include "codec/expert_files.h"

#include <string>
#include <utility>

#include "codec/expert_counts_csv.h"
#include "codec/expert_counts_json.h"
#include "codec/gzip.h"
#include "codec/npy.h"
#include "codec/recorder_dump.h"
#include "codec/zip_archive.h"

namespace flexpert::codec {
namespace {

char first_of(std::string_view text) {
  const std::size_t at = text.find_first_not_of(" \t\r\n");
  return at == std::string_view::npos ? '\0' : text[at];
}

/// Tells .npz from .pt: numpy's archives hold arrays and nothing else.
bool is_npz(std::string_view bytes) {
  const auto archive = ZipArchive::open(bytes);
  if (!archive || archive->entries().empty()) return false;
  for (const ZipEntry& entry : archive->entries())
    if (!entry.name.ends_with(".npy")) return false;
  return true;
}

Result<void> no_path(std::string_view path, const char* form) {
  if (path.empty()) return {};
  return fail(ErrorCode::kInvalidArgument, "a path within the file has no meaning for {}: {}", form, path);
}

Result<std::vector<ExpertCounts>> one(Result<ExpertCounts> counts) {
  FLEXPERT_ASSIGN(ExpertCounts found, std::move(counts));
  return std::vector<ExpertCounts>{std::move(found)};
}

Result<std::vector<ExpertCounts>> read_plain_steps(std::string_view bytes, std::string_view path) {
  if (is_npy(bytes)) {
    FLEXPERT_TRY(no_path(path, ".npy"));
    FLEXPERT_ASSIGN(const NumberArray array, parse_npy(bytes));
    return count_steps(array, "npy");
  }
  if (bytes.starts_with("PK")) {
    if (is_npz(bytes)) {
      FLEXPERT_ASSIGN(const NumberArray array, parse_npz(bytes, path));
      return count_steps(array, "npz");
    }
    FLEXPERT_TRY(no_path(path, ".pt"));
    FLEXPERT_ASSIGN(RecorderDump dump, parse_recorder_dump(bytes));
    return std::move(dump.steps);
  }
  if (const char first = first_of(bytes); first == '{' || first == '[') return count_steps_at(bytes, path);
  FLEXPERT_TRY(no_path(path, "CSV"));
  return one(parse_expert_counts_csv(bytes));
}

}  // namespace

Result<std::vector<ExpertCounts>> read_count_steps(std::string_view bytes, std::string_view path) {
  if (!is_gzip(bytes)) return read_plain_steps(bytes, path);
  FLEXPERT_ASSIGN(const std::string unpacked, gunzip(bytes, kMaxUnpackedBytes));
  return read_plain_steps(unpacked, path);
}

Result<ExpertCounts> read_counts(std::string_view bytes, std::string_view path) {
  FLEXPERT_ASSIGN(const auto steps, read_count_steps(bytes, path));
  return sum_of(steps);
}

}  // namespace flexpert::codec
