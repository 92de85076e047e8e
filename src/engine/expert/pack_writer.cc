#include "engine/expert/pack_writer.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>
#include <xxhash.h>

#include "engine/expert/pack_file.h"
#include "engine/kernels/kernels.h"

namespace flexpert::engine {
namespace {

std::unexpected<Error> io_failure(const char* what, const std::string& path) {
  return fail(errno == ENOSPC ? ErrorCode::kResourceExhausted : ErrorCode::kUnavailable, "pack file: cannot {}: {}: {}", what, path,
              std::strerror(errno));
}

/// Makes a rename durable.
void sync_folder_of(const std::string& path) {
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  const int fd = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

}  // namespace

Result<std::unique_ptr<PackWriter>> PackWriter::create(const std::string& path, const PackShape& shape) {
  const pack::Header limits{};
  const auto within = [](std::uint32_t value, std::uint32_t most) { return value > 0 && value <= most; };
  if (!within(shape.geometry.layers, pack::kMaxExtent) || !within(shape.geometry.experts, pack::kMaxExtent) ||
      !within(shape.hidden, pack::kMaxWidth) || !within(shape.intermediate, pack::kMaxWidth))
    return fail(ErrorCode::kInvalidArgument, "pack file: sizes out of range: {} layers, {} experts, hidden {}, intermediate {}",
                shape.geometry.layers, shape.geometry.experts, shape.hidden, shape.intermediate);
  if (shape.model_fingerprint.empty() || shape.model_fingerprint.size() >= sizeof(limits.model_fingerprint))
    return fail(ErrorCode::kInvalidArgument, "pack file: a model fingerprint has 1 to {} bytes: {}", sizeof(limits.model_fingerprint) - 1,
                shape.model_fingerprint);
  if (kernel_identity().size() >= sizeof(limits.kernel_identity))
    return fail(ErrorCode::kInternal, "pack file: the kernel identity is too long: {}", kernel_identity());
  const std::string temporary = path + ".tmp";
  const int fd = ::open(temporary.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return io_failure("create", temporary);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0 || ::ftruncate(fd, 0) != 0) {
    const bool busy = errno == EWOULDBLOCK;
    auto failure = io_failure("lock", temporary);
    ::close(fd);
    if (busy) return fail(ErrorCode::kFailedPrecondition, "pack file: another process is writing it now: {}", temporary);
    return failure;
  }
  return std::unique_ptr<PackWriter>(new PackWriter(path, shape, fd));
}

PackWriter::PackWriter(std::string path, PackShape shape, int fd)
    : path_(std::move(path)), temporary_(path_ + ".tmp"), shape_(std::move(shape)), fd_(fd), table_(shape_.geometry.size()) {
  end_ = pack::align_up(pack::kPageBytes + table_.size() * sizeof(pack::Entry), pack::kPageBytes);
}

PackWriter::~PackWriter() {
  if (fd_ < 0) return;
  ::unlink(temporary_.c_str());
  ::close(fd_);
}

Result<void> PackWriter::write_at(const void* data, std::size_t bytes, std::uint64_t offset) {
  const char* from = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = ::pwrite(fd_, from, bytes, static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return io_failure("write", temporary_);
    from += written;
    bytes -= static_cast<std::size_t>(written);
    offset += static_cast<std::uint64_t>(written);
  }
  return {};
}

Result<void> PackWriter::add(ExpertSlot slot, std::span<const std::byte> gate, std::span<const std::byte> up,
                             std::span<const std::byte> down) {
  const std::size_t matrix = std::size_t{shape_.hidden} * shape_.intermediate * size_of(shape_.type);
  if (!shape_.geometry.contains(slot) || table_[shape_.geometry.index(slot)].offset != 0)
    return fail(ErrorCode::kInvalidArgument, "pack file: no such slot, or added before: layer {} expert {}", slot.layer, slot.expert);
  if (gate.size() != matrix || up.size() != matrix || down.size() != matrix)
    return fail(ErrorCode::kInvalidArgument, "pack file: layer {} expert {}: matrices of {}, {} and {} bytes where {} are wanted",
                slot.layer, slot.expert, gate.size(), up.size(), down.size(), matrix);
  const pack::ExpertLayout layout = pack::layout_of(shape_.type, shape_.hidden, shape_.intermediate);
  buffer_.assign(layout.bytes, std::byte{0});
  pack_matrix(shape_.type, gate, shape_.intermediate, shape_.hidden, buffer_.data() + layout.gate);
  pack_matrix(shape_.type, up, shape_.intermediate, shape_.hidden, buffer_.data() + layout.up);
  pack_matrix(shape_.type, down, shape_.hidden, shape_.intermediate, buffer_.data() + layout.down);
  FLEXPERT_TRY(write_at(buffer_.data(), buffer_.size(), end_));
  table_[shape_.geometry.index(slot)] = {end_, layout.bytes, XXH3_64bits(buffer_.data(), buffer_.size()), 0};
  end_ = pack::align_up(end_ + layout.bytes, pack::kPageBytes);
  return {};
}

Result<void> PackWriter::finish() {
  pack::Header header{};
  std::memcpy(header.magic, pack::kMagic, sizeof(header.magic));
  header.version = pack::kVersion;
  header.page_bytes = pack::kPageBytes;
  header.file_bytes = end_;
  header.layers = shape_.geometry.layers;
  header.experts = shape_.geometry.experts;
  header.hidden = shape_.hidden;
  header.intermediate = shape_.intermediate;
  header.weight_type = static_cast<std::uint32_t>(shape_.type);
  header.table_offset = pack::kPageBytes;
  header.table_hash = XXH3_64bits(table_.data(), table_.size() * sizeof(pack::Entry));
  shape_.model_fingerprint.copy(header.model_fingerprint, sizeof(header.model_fingerprint) - 1);
  kernel_identity().copy(header.kernel_identity, sizeof(header.kernel_identity) - 1);
  header.header_hash = XXH3_64bits(&header, offsetof(pack::Header, header_hash));
  FLEXPERT_TRY(write_at(table_.data(), table_.size() * sizeof(pack::Entry), pack::kPageBytes));
  FLEXPERT_TRY(write_at(&header, sizeof(header), 0));
  // Fills the last expert's page, so that the file has the size that the header says.
  if (::ftruncate(fd_, static_cast<off_t>(end_)) != 0) return io_failure("extend", temporary_);
  if (::fsync(fd_) != 0) return io_failure("sync", temporary_);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) return io_failure("rename", temporary_);
  ::close(std::exchange(fd_, -1));
  sync_folder_of(path_);
  return {};
}

namespace {

struct ExpertTensors {
  TensorView gate;
  TensorView up;
  TensorView down;
};

Result<ExpertTensors> expert_tensors(const Checkpoint& checkpoint, ExpertSlot slot) {
  const ModelConfig& config = checkpoint.config();
  const std::uint64_t wide[] = {config.moe_intermediate_size, config.hidden_size};
  const std::uint64_t narrow[] = {config.hidden_size, config.moe_intermediate_size};
  const std::string prefix = fmt::format("model.layers.{}.mlp.experts.{}.", slot.layer, slot.expert);
  ExpertTensors tensors;
  FLEXPERT_ASSIGN(tensors.gate, checkpoint.tensor(prefix + "gate_proj.weight", wide));
  FLEXPERT_ASSIGN(tensors.up, checkpoint.tensor(prefix + "up_proj.weight", wide));
  FLEXPERT_ASSIGN(tensors.down, checkpoint.tensor(prefix + "down_proj.weight", narrow));
  return tensors;
}

WeightType weight_type_of(DType type) { return type == DType::kF32 ? WeightType::kF32 : WeightType::kBF16; }

}  // namespace

Result<void> write_pack(const Checkpoint& checkpoint, const std::string& path,
                        const std::function<void(std::size_t, std::size_t)>& on_progress) {
  const ModelConfig& config = checkpoint.config();
  const ExpertGeometry geometry = config.expert_geometry();
  std::vector<ExpertSlot> slots;
  for (std::size_t i = 0; i < geometry.size(); ++i)
    if (config.is_moe_layer(geometry.slot(i).layer)) slots.push_back(geometry.slot(i));
  if (slots.empty()) return fail(ErrorCode::kInvalidArgument, "pack file: the model has no experts: {}", checkpoint.folder());
  FLEXPERT_ASSIGN(const ExpertTensors first, expert_tensors(checkpoint, slots.front()));
  const WeightType type = weight_type_of(first.gate.type);
  FLEXPERT_ASSIGN(auto writer, PackWriter::create(path, {.model_fingerprint = checkpoint.fingerprint(),
                                                         .geometry = geometry,
                                                         .hidden = config.hidden_size,
                                                         .intermediate = config.moe_intermediate_size,
                                                         .type = type}));
  for (std::size_t done = 0; done < slots.size(); ++done) {
    FLEXPERT_ASSIGN(const ExpertTensors tensors, expert_tensors(checkpoint, slots[done]));
    for (const TensorView* tensor : {&tensors.gate, &tensors.up, &tensors.down})
      if (weight_type_of(tensor->type) != type)
        return fail(ErrorCode::kInvalidArgument, "pack file: the experts mix weight types: layer {} expert {}: {}", slots[done].layer,
                    slots[done].expert, checkpoint.folder());
    FLEXPERT_TRY(writer->add(slots[done], tensors.gate.bytes, tensors.up.bytes, tensors.down.bytes));
    if (on_progress) on_progress(done + 1, slots.size());
  }
  return writer->finish();
}

}  // namespace flexpert::engine
