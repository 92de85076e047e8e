#include "engine/expert/pack_file.h"

#include <cstring>
#include <optional>
#include <vector>

#include <sys/mman.h>
#include <xxhash.h>

#include "engine/expert/pack_format.h"
#include "engine/kernels/kernels.h"
#include "engine/weights/mapped_file.h"

namespace flexpert::engine {
namespace {

/// Reads a text that is filled with zeros; one without a zero is cut.
template <std::size_t N>
std::string text_of(const char (&field)[N]) {
  return std::string(field, ::strnlen(field, N));
}

class MappedPack final : public PackFile {
 public:
  MappedPack(MappedFile file, const pack::Header& header, std::span<const pack::Entry> table)
      : file_(std::move(file)),
        fingerprint_(text_of(header.model_fingerprint)),
        geometry_{header.layers, header.experts},
        hidden_(header.hidden),
        intermediate_(header.intermediate),
        table_(table.begin(), table.end()),
        weights_(table.size()) {
    const auto type = static_cast<WeightType>(header.weight_type);
    const pack::ExpertLayout layout = pack::layout_of(type, hidden_, intermediate_);
    for (std::size_t i = 0; i < table_.size(); ++i) {
      if (table_[i].offset == 0) continue;
      const std::byte* base = file_.bytes().data() + table_[i].offset;
      weights_[i].gate = {base + layout.gate, type, intermediate_, hidden_};
      weights_[i].up = {base + layout.up, type, intermediate_, hidden_};
      weights_[i].down = {base + layout.down, type, hidden_, intermediate_};
    }
  }

  [[nodiscard]] const std::string& model_fingerprint() const override { return fingerprint_; }
  [[nodiscard]] ExpertGeometry geometry() const override { return geometry_; }
  [[nodiscard]] std::uint32_t hidden_size() const override { return hidden_; }
  [[nodiscard]] std::uint32_t intermediate_size() const override { return intermediate_; }

  [[nodiscard]] const ExpertWeights* expert(ExpertSlot slot) const override {
    if (!geometry_.contains(slot)) return nullptr;
    const ExpertWeights& weights = weights_[geometry_.index(slot)];
    return weights.gate.data == nullptr ? nullptr : &weights;
  }

  void prefetch(ExpertSlot slot) const override {
    if (expert(slot) == nullptr) return;
    const pack::Entry& entry = table_[geometry_.index(slot)];
    // Advice only: when it is not taken, the pages come at first use.
    ::madvise(const_cast<std::byte*>(file_.bytes().data()) + entry.offset, entry.bytes, MADV_WILLNEED);
  }

  [[nodiscard]] Result<void> verify() const override {
    for (std::size_t i = 0; i < table_.size(); ++i) {
      if (table_[i].offset == 0) continue;
      if (XXH3_64bits(file_.bytes().data() + table_[i].offset, table_[i].bytes) != table_[i].hash) {
        const ExpertSlot slot = geometry_.slot(i);
        return fail(ErrorCode::kDataLoss, "pack file: damaged: the hash of layer {} expert {} is wrong", slot.layer, slot.expert);
      }
    }
    return {};
  }

 private:
  MappedFile file_;
  std::string fingerprint_;
  ExpertGeometry geometry_;
  std::uint32_t hidden_;
  std::uint32_t intermediate_;
  std::vector<pack::Entry> table_;
  std::vector<ExpertWeights> weights_;
};

Result<void> check_header(const pack::Header& header, std::uint64_t file_bytes, const std::string& path) {
  const auto refuse = [&](std::string what) {
    return fail(ErrorCode::kFailedPrecondition, "pack file: {}: {}: {}", what, path, pack::remedy(path));
  };
  if (std::memcmp(header.magic, pack::kMagic, sizeof(header.magic)) != 0) return refuse("not a pack file");
  if (header.version != pack::kVersion) return refuse(fmt::format("version {}, where {} is read here", header.version, pack::kVersion));
  if (header.header_hash != XXH3_64bits(&header, offsetof(pack::Header, header_hash))) return refuse("the header is damaged");
  if (text_of(header.kernel_identity) != kernel_identity())
    return refuse(fmt::format("made for other kernels: \"{}\", these are \"{}\"", text_of(header.kernel_identity), kernel_identity()));
  if (header.page_bytes != pack::kPageBytes || header.weight_type > static_cast<std::uint32_t>(WeightType::kBF16) || header.layers == 0 ||
      header.layers > pack::kMaxExtent || header.experts == 0 || header.experts > pack::kMaxExtent || header.hidden == 0 ||
      header.hidden > pack::kMaxWidth || header.intermediate == 0 || header.intermediate > pack::kMaxWidth)
    return refuse("the header holds sizes out of range");
  if (header.file_bytes != file_bytes) return refuse(fmt::format("{} bytes long, where the header says {}", file_bytes, header.file_bytes));
  const std::uint64_t table_bytes = std::uint64_t{header.layers} * header.experts * sizeof(pack::Entry);
  if (header.table_offset != pack::kPageBytes || table_bytes > file_bytes - pack::kPageBytes)
    return refuse("the table reaches past its end");
  return {};
}

Result<void> check_table(const pack::Header& header, std::span<const pack::Entry> table, const std::string& path) {
  const auto refuse = [&](std::string what) {
    return fail(ErrorCode::kFailedPrecondition, "pack file: {}: {}: {}", what, path, pack::remedy(path));
  };
  if (XXH3_64bits(table.data(), table.size_bytes()) != header.table_hash) return refuse("the table is damaged");
  const std::uint64_t bytes = pack::layout_of(static_cast<WeightType>(header.weight_type), header.hidden, header.intermediate).bytes;
  const std::uint64_t first = pack::kPageBytes + table.size_bytes();
  for (std::size_t i = 0; i < table.size(); ++i) {
    const pack::Entry& entry = table[i];
    if (entry.offset == 0 && entry.bytes == 0) continue;
    if (entry.offset % pack::kPageBytes != 0 || entry.offset < first || entry.bytes != bytes || entry.offset > header.file_bytes ||
        bytes > header.file_bytes - entry.offset)
      return refuse(fmt::format("the table's entry {} is out of bounds: offset {}, {} bytes", i, entry.offset, entry.bytes));
  }
  return {};
}

}  // namespace

Result<std::shared_ptr<const PackFile>> PackFile::open(const std::string& path) {
  auto opened = MappedFile::open(path);
  if (!opened) return fail(Error{opened.error().code, fmt::format("pack file: {}: {}", opened.error().message, pack::remedy(path))});
  const std::span<const std::byte> bytes = opened->bytes();
  if (bytes.size() < pack::kPageBytes)
    return fail(ErrorCode::kFailedPrecondition, "pack file: too short for a header: {} bytes: {}: {}", bytes.size(), path,
                pack::remedy(path));
  pack::Header header;
  std::memcpy(&header, bytes.data(), sizeof(header));
  FLEXPERT_TRY(check_header(header, bytes.size(), path));
  // The table begins on a page, so it is aligned.
  const std::span table(reinterpret_cast<const pack::Entry*>(bytes.data() + header.table_offset),
                        std::size_t{header.layers} * header.experts);
  FLEXPERT_TRY(check_table(header, table, path));
  return std::shared_ptr<const PackFile>(std::make_shared<MappedPack>(std::move(*opened), header, table));
}

}  // namespace flexpert::engine
