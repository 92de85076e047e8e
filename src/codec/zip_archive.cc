#include "codec/zip_archive.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <unordered_set>

#include <zlib.h>

#include "codec/gzip.h"
#include "codec/little_endian.h"

namespace flexpert::codec {
namespace {

constexpr std::uint32_t kLocalMagic = 0x04034b50;
constexpr std::uint32_t kEntryMagic = 0x02014b50;
constexpr std::uint32_t kEndMagic = 0x06054b50;
constexpr std::uint32_t kEnd64Magic = 0x06064b50;
constexpr std::uint32_t kLocator64Magic = 0x07064b50;
constexpr std::size_t kLocalBytes = 30;
constexpr std::size_t kEntryBytes = 46;
constexpr std::size_t kEndBytes = 22;
constexpr std::size_t kEnd64Bytes = 56;
constexpr std::size_t kLocator64Bytes = 20;
constexpr std::uint16_t kStored = 0;
constexpr std::uint16_t kDeflated = 8;
constexpr std::uint16_t kEncrypted = 1;
constexpr std::uint16_t kUtf8Names = 1U << 11;
constexpr std::uint16_t kZip64Extra = 1;
constexpr std::uint32_t kIn64 = 0xffffffff;  // "see the zip64 field"
/// Deflate packs at most 1,032 bytes into one.
constexpr std::uint64_t kMaxRatio = 1032;

std::string shown(std::string_view name) {
  std::string text;
  for (const char c : name.substr(0, 100)) text += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  return text;
}

struct Directory {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::uint64_t entries = 0;
};

std::optional<std::size_t> find_end(std::string_view bytes) {
  if (bytes.size() < kEndBytes) return std::nullopt;
  const std::size_t last = bytes.size() - kEndBytes;
  const std::size_t first = last > 0xffff ? last - 0xffff : 0;
  for (std::size_t at = last + 1; at-- > first;)
    if (load_le<std::uint32_t>(bytes, at) == kEndMagic && load_le<std::uint16_t>(bytes, at + 20) == bytes.size() - at - kEndBytes)
      return at;
  return std::nullopt;
}

Result<Directory> find_directory(std::string_view bytes) {
  if (!bytes.starts_with("PK")) return fail(ErrorCode::kInvalidArgument, "zip: the file does not begin with PK: it is no zip file");
  const auto end_at = find_end(bytes);
  if (!end_at) return fail(ErrorCode::kDataLoss, "zip: no end record: the file is truncated, or has bytes after its end");
  const std::size_t end = *end_at;
  if (load_le<std::uint16_t>(bytes, end + 4) != 0 || load_le<std::uint16_t>(bytes, end + 6) != 0)
    return fail(ErrorCode::kInvalidArgument, "zip: archives over several disks are not read");
  Directory directory;
  directory.entries = load_le<std::uint16_t>(bytes, end + 10);
  std::uint64_t size = load_le<std::uint32_t>(bytes, end + 12);
  directory.begin = load_le<std::uint32_t>(bytes, end + 16);
  directory.end = end;
  if (end >= kLocator64Bytes + kEnd64Bytes && load_le<std::uint32_t>(bytes, end - kLocator64Bytes) == kLocator64Magic) {
    const std::size_t record = end - kLocator64Bytes - kEnd64Bytes;
    if (load_le<std::uint64_t>(bytes, end - kLocator64Bytes + 8) != record || load_le<std::uint32_t>(bytes, record) != kEnd64Magic)
      return fail(ErrorCode::kDataLoss, "zip: the zip64 end record is not where its locator says");
    directory.entries = load_le<std::uint64_t>(bytes, record + 32);
    size = load_le<std::uint64_t>(bytes, record + 40);
    directory.begin = load_le<std::uint64_t>(bytes, record + 48);
    directory.end = record;
  }
  if (directory.begin > directory.end || size != directory.end - directory.begin)
    return fail(ErrorCode::kDataLoss, "zip: the directory is not right before the end record: begins at {}, {} bytes, ends at {}",
                directory.begin, size, directory.end);
  return directory;
}

/// A directory entry before its local header is looked at.
struct Listed {
  ZipEntry entry;
  std::uint64_t packed = 0;
  std::uint64_t header = 0;
};

/// Takes the 64-bit numbers that the 32-bit fields refer to, in the format's order.
Result<void> take_zip64(std::string_view extra, Listed& listed, bool any) {
  std::size_t at = 0;
  while (extra.size() - at >= 4) {
    const auto id = load_le<std::uint16_t>(extra, at);
    const std::size_t length = load_le<std::uint16_t>(extra, at + 2);
    at += 4;
    if (length > extra.size() - at) return fail(ErrorCode::kDataLoss, "zip: an extra field is truncated: {}", shown(listed.entry.name));
    if (id == kZip64Extra && any) {
      std::size_t field = at;
      for (std::uint64_t* number : {&listed.entry.size, &listed.packed, &listed.header}) {
        if (*number != kIn64) continue;
        if (at + length - field < 8) return fail(ErrorCode::kDataLoss, "zip: the zip64 field is too short: {}", shown(listed.entry.name));
        *number = load_le<std::uint64_t>(extra, field);
        field += 8;
      }
      return {};
    }
    at += length;
  }
  if (any) return fail(ErrorCode::kDataLoss, "zip: the zip64 field is missing: {}", shown(listed.entry.name));
  return {};
}

Result<Listed> read_listed(std::string_view bytes, std::uint64_t& at, const Directory& directory) {
  if (directory.end - at < kEntryBytes || load_le<std::uint32_t>(bytes, at) != kEntryMagic)
    return fail(ErrorCode::kDataLoss, "zip: the directory is damaged at byte {}", at);
  const std::size_t name = load_le<std::uint16_t>(bytes, at + 28);
  const std::size_t extra = load_le<std::uint16_t>(bytes, at + 30);
  const std::size_t comment = load_le<std::uint16_t>(bytes, at + 32);
  if (directory.end - at - kEntryBytes < name + extra + comment)
    return fail(ErrorCode::kDataLoss, "zip: the directory is truncated at byte {}", at);
  Listed listed;
  listed.entry.name = bytes.substr(at + kEntryBytes, name);
  listed.entry.method = load_le<std::uint16_t>(bytes, at + 10);
  listed.entry.crc = load_le<std::uint32_t>(bytes, at + 16);
  listed.packed = load_le<std::uint32_t>(bytes, at + 20);
  listed.entry.size = load_le<std::uint32_t>(bytes, at + 24);
  listed.header = load_le<std::uint32_t>(bytes, at + 42);
  if ((load_le<std::uint16_t>(bytes, at + 8) & kEncrypted) != 0)
    return fail(ErrorCode::kInvalidArgument, "zip: encrypted entries are not read: {}", shown(listed.entry.name));
  const bool any = listed.packed == kIn64 || listed.entry.size == kIn64 || listed.header == kIn64;
  FLEXPERT_TRY(take_zip64(bytes.substr(at + kEntryBytes + name, extra), listed, any));
  at += kEntryBytes + name + extra + comment;
  return listed;
}

Result<void> check_sizes(const Listed& listed, const ZipLimits& limits) {
  const ZipEntry& entry = listed.entry;
  if (entry.method != kStored && entry.method != kDeflated)
    return fail(ErrorCode::kInvalidArgument, "zip: compression method {} is not read, only stored (0) and deflated (8): {}", entry.method,
                shown(entry.name));
  if (entry.size > limits.entry_bytes)
    return fail(ErrorCode::kResourceExhausted, "zip: the entry {} has {} bytes unpacked; at most {} are read", shown(entry.name),
                entry.size, limits.entry_bytes);
  if (entry.method == kStored && entry.size != listed.packed)
    return fail(ErrorCode::kDataLoss, "zip: the stored entry {} has {} bytes packed and {} unpacked", shown(entry.name), listed.packed,
                entry.size);
  if (entry.method == kDeflated && entry.size / kMaxRatio > listed.packed)
    return fail(ErrorCode::kDataLoss, "zip: the entry {} cannot unpack {} bytes into {}", shown(entry.name), listed.packed, entry.size);
  return {};
}

Result<void> read_local(std::string_view bytes, Listed& listed, std::uint64_t directory_begin) {
  ZipEntry& entry = listed.entry;
  const std::uint64_t at = listed.header;
  if (at > directory_begin || directory_begin - at < kLocalBytes || load_le<std::uint32_t>(bytes, at) != kLocalMagic)
    return fail(ErrorCode::kDataLoss, "zip: no local header at byte {} for {}", at, shown(entry.name));
  const std::size_t name = load_le<std::uint16_t>(bytes, at + 26);
  const std::size_t extra = load_le<std::uint16_t>(bytes, at + 28);
  if (directory_begin - at - kLocalBytes < name + extra)
    return fail(ErrorCode::kDataLoss, "zip: the local header is truncated: {}", shown(entry.name));
  if (bytes.substr(at + kLocalBytes, name) != entry.name || load_le<std::uint16_t>(bytes, at + 8) != entry.method)
    return fail(ErrorCode::kDataLoss, "zip: local header and directory differ: {}", shown(entry.name));
  entry.begin = at + kLocalBytes + name + extra;
  if (listed.packed > directory_begin - entry.begin)
    return fail(ErrorCode::kDataLoss, "zip: the entry {} reaches into the directory: {} bytes from byte {}", shown(entry.name),
                listed.packed, entry.begin);
  entry.end = entry.begin + listed.packed;
  return {};
}

}  // namespace

Result<ZipArchive> ZipArchive::open(std::string_view bytes, const ZipLimits& limits) {
  FLEXPERT_ASSIGN(const Directory directory, find_directory(bytes));
  if (directory.entries > limits.entries)
    return fail(ErrorCode::kResourceExhausted, "zip: {} entries; at most {} are read", directory.entries, limits.entries);
  ZipArchive archive(bytes);
  std::vector<std::pair<std::uint64_t, std::uint64_t>> extents;  // local header, end of data
  std::unordered_set<std::string> names;
  std::uint64_t at = directory.begin;
  std::uint64_t total = 0;
  for (std::uint64_t i = 0; i < directory.entries; ++i) {
    FLEXPERT_ASSIGN(Listed listed, read_listed(bytes, at, directory));
    FLEXPERT_TRY(check_sizes(listed, limits));
    FLEXPERT_TRY(read_local(bytes, listed, directory.begin));
    if (!names.insert(listed.entry.name).second)
      return fail(ErrorCode::kInvalidArgument, "zip: an entry is there twice: {}", shown(listed.entry.name));
    total += listed.entry.size;
    if (total > limits.total_bytes)
      return fail(ErrorCode::kResourceExhausted, "zip: more than {} bytes unpacked in all", limits.total_bytes);
    extents.emplace_back(listed.header, listed.entry.end);
    archive.entries_.push_back(std::move(listed.entry));
  }
  if (at != directory.end)
    return fail(ErrorCode::kDataLoss, "zip: the directory has {} bytes after its {} entries", directory.end - at, directory.entries);
  std::sort(extents.begin(), extents.end());
  for (std::size_t i = 1; i < extents.size(); ++i)
    if (extents[i].first < extents[i - 1].second) return fail(ErrorCode::kDataLoss, "zip: entries overlap at byte {}", extents[i].first);
  return archive;
}

const ZipEntry* ZipArchive::find(std::string_view name) const {
  const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const ZipEntry& entry) { return entry.name == name; });
  return found == entries_.end() ? nullptr : &*found;
}

Result<std::string> ZipArchive::read(const ZipEntry& entry) const {
  const std::string_view packed = bytes_.substr(entry.begin, entry.end - entry.begin);
  std::string out;
  if (entry.method == kStored) {
    out = packed;
  } else {
    auto unpacked = inflate_raw(packed, entry.size);
    if (!unpacked) return fail(unpacked.error().with_context(fmt::format("zip: {}", shown(entry.name))));
    out = std::move(*unpacked);
  }
  const auto crc = crc32_z(0, reinterpret_cast<const Bytef*>(out.data()), out.size());
  if (crc != entry.crc)
    return fail(ErrorCode::kDataLoss, "zip: the checksum of {} is wrong: {:08x}, the directory says {:08x}", shown(entry.name), crc,
                entry.crc);
  return out;
}

Result<void> ZipWriter::add(std::string_view name, std::string_view bytes) {
  constexpr std::size_t kAlignment = 64;
  constexpr std::size_t kExtraHeader = 4;
  if (name.size() > 0xff || entries_ == 0xfffe || file_.size() + bytes.size() + directory_.size() > kIn64 - (std::uint32_t{1} << 20))
    return fail(ErrorCode::kResourceExhausted, "zip: no room for {} of {} bytes: below 4 GiB and 65,535 entries are written", shown(name),
                bytes.size());
  const std::size_t header = file_.size();
  const std::size_t unpadded = header + kLocalBytes + name.size() + kExtraHeader;
  const std::size_t padding = (kAlignment - unpadded % kAlignment) % kAlignment;
  const auto crc = static_cast<std::uint32_t>(crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));

  std::string common;  // what local header and directory entry share, from the flags to the length of the name
  append_le<std::uint16_t>(common, kUtf8Names);
  append_le<std::uint16_t>(common, kStored);
  append_le<std::uint32_t>(common, 0x00210000);  // 1980-01-01, the format's first day
  append_le<std::uint32_t>(common, crc);
  append_le<std::uint32_t>(common, static_cast<std::uint32_t>(bytes.size()));
  append_le<std::uint32_t>(common, static_cast<std::uint32_t>(bytes.size()));
  append_le<std::uint16_t>(common, static_cast<std::uint16_t>(name.size()));

  append_le<std::uint32_t>(file_, kLocalMagic);
  append_le<std::uint16_t>(file_, 20);
  file_ += common;
  append_le<std::uint16_t>(file_, static_cast<std::uint16_t>(kExtraHeader + padding));
  file_ += name;
  file_ += "FB";  // PyTorch's name for padding
  append_le<std::uint16_t>(file_, static_cast<std::uint16_t>(padding));
  file_.append(padding, 'Z');
  file_ += bytes;

  append_le<std::uint32_t>(directory_, kEntryMagic);
  append_le<std::uint16_t>(directory_, 20);
  append_le<std::uint16_t>(directory_, 20);
  directory_ += common;
  directory_.append(12, '\0');  // no extra field, no comment, disk 0, no attributes
  append_le<std::uint32_t>(directory_, static_cast<std::uint32_t>(header));
  directory_ += name;
  ++entries_;
  return {};
}

std::string ZipWriter::finish() {
  const auto begin = static_cast<std::uint32_t>(file_.size());
  file_ += directory_;
  append_le<std::uint32_t>(file_, kEndMagic);
  append_le<std::uint32_t>(file_, 0);
  append_le<std::uint16_t>(file_, entries_);
  append_le<std::uint16_t>(file_, entries_);
  append_le<std::uint32_t>(file_, static_cast<std::uint32_t>(directory_.size()));
  append_le<std::uint32_t>(file_, begin);
  append_le<std::uint16_t>(file_, 0);
  return std::move(file_);
}

}  // namespace flexpert::codec
