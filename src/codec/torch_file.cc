#include "codec/torch_file.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "codec/little_endian.h"
#include "codec/small_floats.h"
#include "codec/torch_dtype.h"

namespace flexpert::codec {
namespace {

constexpr std::string_view kPickleName = "data.pkl";
constexpr std::uint64_t kMaxUnpacked = std::uint64_t{4} << 30;
/// A tensor may be larger than its storage (expand()) up to here; a file of some bytes must not fill the memory.
constexpr std::size_t kMaxExpanded = std::size_t{1} << 18;

constexpr std::array<std::string_view, 17> kGlobals = {"collections.OrderedDict",
                                                       "torch._utils._rebuild_tensor_v2",
                                                       "torch._utils._rebuild_tensor_v3",
                                                       "torch.storage.UntypedStorage",
                                                       "torch.BoolStorage",
                                                       "torch.ByteStorage",
                                                       "torch.CharStorage",
                                                       "torch.ShortStorage",
                                                       "torch.IntStorage",
                                                       "torch.LongStorage",
                                                       "torch.HalfStorage",
                                                       "torch.BFloat16Storage",
                                                       "torch.FloatStorage",
                                                       "torch.DoubleStorage",
                                                       "torch.uint16",
                                                       "torch.uint32",
                                                       "torch.uint64"};

struct View {
  const TorchDtypeInfo* dtype = nullptr;
  std::string_view key;        ///< of the storage
  std::uint64_t elements = 0;  ///< of the storage
  std::uint64_t offset = 0;
  std::vector<std::uint64_t> shape;
  std::vector<std::uint64_t> strides;
};

Result<std::vector<std::uint64_t>> whole_numbers(const Pickle& pickle, PickleValue tuple, std::string_view what, const char* part) {
  std::vector<std::uint64_t> numbers;
  if (tuple.kind == PickleKind::kTuple && pickle.items(tuple).size() <= kMaxArrayRank) {
    for (const PickleValue item : pickle.items(tuple))
      if (item.kind == PickleKind::kInt && item.integer >= 0) numbers.push_back(static_cast<std::uint64_t>(item.integer));
    if (numbers.size() == pickle.items(tuple).size()) return numbers;
  }
  return fail(ErrorCode::kInvalidArgument, "{}: the tensor's {} must be a tuple of at most {} whole numbers >= 0", what, part,
              kMaxArrayRank);
}

/// Reads ("storage", class, key, device, elements).
Result<void> take_storage(const Pickle& pickle, PickleValue storage, View& view, std::string_view what) {
  if (storage.kind == PickleKind::kPersistent) {
    const PickleValue id = pickle.items(storage).front();
    const auto parts = id.kind == PickleKind::kTuple ? pickle.items(id) : std::span<const PickleValue>{};
    if (parts.size() == 5 && parts[0].kind == PickleKind::kString && pickle.text(parts[0]) == "storage" &&
        parts[1].kind == PickleKind::kGlobal && parts[2].kind == PickleKind::kString && parts[4].kind == PickleKind::kInt &&
        parts[4].integer >= 0) {
      view.key = pickle.text(parts[2]);
      view.elements = static_cast<std::uint64_t>(parts[4].integer);
      const std::string_view type = pickle.text(parts[1]);
      if (type == "torch.storage.UntypedStorage" && view.dtype != nullptr) {
        view.elements /= view.dtype->bytes;
        return {};
      }
      if (const TorchDtypeInfo* info = dtype_of_storage(type); info != nullptr && view.dtype == nullptr) {
        view.dtype = info;
        return {};
      }
      return fail(ErrorCode::kInvalidArgument, "{}: the storage type {} is not read", what, type);
    }
  }
  return fail(ErrorCode::kInvalidArgument, "{}: the tensor's storage is not described as torch.save does", what);
}

Result<View> view_of(const Pickle& pickle, PickleValue tensor, std::string_view what) {
  if (tensor.kind != PickleKind::kCall) return fail(ErrorCode::kInvalidArgument, "{}: must be a tensor, is {}", what, name_of(tensor.kind));
  const std::string_view maker = pickle.text(pickle.items(tensor)[0]);
  const auto arguments = pickle.items(pickle.items(tensor)[1]);
  View view;
  if (maker == "torch._utils._rebuild_tensor_v3" && arguments.size() >= 7 && arguments[6].kind == PickleKind::kGlobal)
    view.dtype = dtype_of_name(pickle.text(arguments[6]));
  else if (maker != "torch._utils._rebuild_tensor_v2" || arguments.size() < 6)
    return fail(ErrorCode::kInvalidArgument, "{}: the tensor is not described as torch.save does", what);
  FLEXPERT_TRY(take_storage(pickle, arguments[0], view, what));
  if (arguments[1].kind != PickleKind::kInt || arguments[1].integer < 0)
    return fail(ErrorCode::kInvalidArgument, "{}: the tensor's offset must be a whole number >= 0", what);
  view.offset = static_cast<std::uint64_t>(arguments[1].integer);
  FLEXPERT_ASSIGN(view.shape, whole_numbers(pickle, arguments[2], what, "shape"));
  FLEXPERT_ASSIGN(view.strides, whole_numbers(pickle, arguments[3], what, "strides"));
  if (view.shape.size() != view.strides.size())
    return fail(ErrorCode::kInvalidArgument, "{}: the tensor has {} extents and {} strides", what, view.shape.size(), view.strides.size());
  return view;
}

/// Checks that the view's last element is in its storage.
Result<void> check_extent(const View& view, std::string_view what) {
  std::uint64_t last = view.offset;
  for (std::size_t i = 0; i < view.shape.size(); ++i) {
    std::uint64_t reach = 0;
    if (__builtin_mul_overflow(view.shape[i] - 1, view.strides[i], &reach) || __builtin_add_overflow(last, reach, &last))
      return fail(ErrorCode::kInvalidArgument, "{}: the tensor's strides do not fit 64 bits", what);
  }
  if (last >= view.elements)
    return fail(ErrorCode::kDataLoss, "{}: the tensor {} reaches element {} of a storage of {}", what, shape_text(view.shape), last,
                view.elements);
  return {};
}

template <class T>
double value_at(std::string_view storage, std::uint64_t index, bool big_endian) {
  return static_cast<double>(load_element<T>(storage, index, big_endian));
}

double element(TorchDtype dtype, std::string_view storage, std::uint64_t index, bool big) {
  switch (dtype) {
    case TorchDtype::kBool: return storage[index] != 0 ? 1 : 0;
    case TorchDtype::kUint8: return value_at<std::uint8_t>(storage, index, big);
    case TorchDtype::kInt8: return value_at<std::int8_t>(storage, index, big);
    case TorchDtype::kInt16: return value_at<std::int16_t>(storage, index, big);
    case TorchDtype::kUint16: return value_at<std::uint16_t>(storage, index, big);
    case TorchDtype::kInt32: return value_at<std::int32_t>(storage, index, big);
    case TorchDtype::kUint32: return value_at<std::uint32_t>(storage, index, big);
    case TorchDtype::kInt64: return value_at<std::int64_t>(storage, index, big);
    case TorchDtype::kUint64: return value_at<std::uint64_t>(storage, index, big);
    case TorchDtype::kFloat16: return from_float16(load_element<std::uint16_t>(storage, index, big));
    case TorchDtype::kBfloat16: return from_bfloat16(load_element<std::uint16_t>(storage, index, big));
    case TorchDtype::kFloat32: return value_at<float>(storage, index, big);
    case TorchDtype::kFloat64: return value_at<double>(storage, index, big);
  }
  return 0;
}

Result<std::string> prefix_of(const ZipArchive& archive) {
  for (const ZipEntry& entry : archive.entries()) {
    const std::size_t slash = entry.name.find('/');
    if (slash != std::string::npos && std::string_view(entry.name).substr(slash + 1) == kPickleName) return entry.name.substr(0, slash + 1);
  }
  return fail(ErrorCode::kInvalidArgument, "torch: the zip file has no data.pkl: it was not written by torch.save");
}

}  // namespace

Result<TorchFile> TorchFile::open(std::string_view bytes) {
  if (!bytes.starts_with("PK")) {
    const bool tar = bytes.size() > 262 && bytes.substr(257, 5) == "ustar";
    if (tar || bytes.starts_with('\x80'))
      return fail(ErrorCode::kInvalidArgument, "torch: the file is in a format of PyTorch before 1.6, which is not read: save it again, "
                  "torch.save(torch.load(file), file), with PyTorch 1.6 or later");
    return fail(ErrorCode::kInvalidArgument, "torch: the file does not begin with PK: it was not written by torch.save");
  }
  FLEXPERT_ASSIGN(ZipArchive archive, ZipArchive::open(bytes));
  FLEXPERT_ASSIGN(std::string prefix, prefix_of(archive));
  bool big_endian = false;
  if (const ZipEntry* entry = archive.find(prefix + "byteorder"); entry != nullptr) {
    FLEXPERT_ASSIGN(const std::string order, archive.read(*entry));
    if (order != "little" && order != "big") return fail(ErrorCode::kInvalidArgument, "torch: byteorder must be little or big");
    big_endian = order == "big";
  }
  const ZipEntry& entry = *archive.find(prefix + std::string(kPickleName));
  if (entry.size > PickleLimits{}.bytes)
    return fail(ErrorCode::kResourceExhausted, "torch: data.pkl has {} bytes; at most {} are read", entry.size, PickleLimits{}.bytes);
  FLEXPERT_ASSIGN(const std::string text, archive.read(entry));
  auto pickle = read_pickle(text, kGlobals);
  if (!pickle) return fail(pickle.error().with_context("torch: data.pkl"));
  return TorchFile(std::move(archive), std::move(*pickle), std::move(prefix), big_endian);
}

Result<std::string_view> TorchFile::storage(std::string_view key) {
  if (last_key_ == key && !last_key_.empty()) return last_storage_;
  const ZipEntry* entry = archive_.find(fmt::format("{}data/{}", prefix_, key));
  if (entry == nullptr) return fail(ErrorCode::kDataLoss, "torch: the storage data/{} is missing", key.substr(0, 40));
  unpacked_ += entry->size;
  if (unpacked_ > kMaxUnpacked) return fail(ErrorCode::kResourceExhausted, "torch: storages of more than {} bytes in all", kMaxUnpacked);
  FLEXPERT_ASSIGN(last_storage_, archive_.read(*entry));
  last_key_ = key;
  return last_storage_;
}

Result<NumberArray> TorchFile::numbers(PickleValue tensor, std::string_view what) {
  FLEXPERT_ASSIGN(const View view, view_of(pickle_, tensor, what));
  FLEXPERT_ASSIGN(const std::size_t elements, element_count(view.shape, what));
  NumberArray array{view.shape, {}};
  if (elements == 0) return array;
  FLEXPERT_TRY(check_extent(view, what));
  if (elements > kMaxExpanded && elements > view.elements)
    return fail(ErrorCode::kResourceExhausted, "{}: a tensor {} expanded from {} elements: call contiguous() before torch.save", what,
                shape_text(view.shape), view.elements);
  FLEXPERT_ASSIGN(const std::string_view bytes, storage(view.key));
  if (bytes.size() / view.dtype->bytes < view.elements)
    return fail(ErrorCode::kDataLoss, "{}: the storage data/{} has {} bytes; {} elements of {} need {}", what, view.key.substr(0, 40),
                bytes.size(), view.elements, view.dtype->name, view.elements * view.dtype->bytes);
  const bool whole = view.dtype->dtype == TorchDtype::kInt64 || view.dtype->dtype == TorchDtype::kUint64;
  array.values.reserve(elements);
  std::vector<std::uint64_t> at(view.shape.size(), 0);
  std::uint64_t position = view.offset;
  for (std::size_t i = 0; i < elements; ++i) {
    const double value = element(view.dtype->dtype, bytes, position, big_endian_);
    if (whole && std::abs(value) > 0x1p53) return fail(ErrorCode::kInvalidArgument, "{}: element {} is beyond 2^53: {}", what, i, value);
    array.values.push_back(value);
    for (std::size_t axis = at.size(); axis-- > 0;) {
      position += view.strides[axis];
      if (++at[axis] < view.shape[axis]) break;
      position -= view.strides[axis] * view.shape[axis];
      at[axis] = 0;
    }
  }
  return array;
}

}  // namespace flexpert::codec
