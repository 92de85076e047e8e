#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <type_traits>
#include <unordered_set>
#include <utility>

#include "codec/little_endian.h"
#include "codec/torch_dtype.h"
#include "codec/torch_file.h"

namespace flexpert::codec {
namespace {

/// Appends every value as a little-endian T; false at the first one that T cannot hold.
template <class T>
bool append_values(std::string& out, const std::vector<double>& values) {
  for (const double value : values) {
    if constexpr (std::is_integral_v<T>) {
      // 2^63 and 2^64 are no T, but what a double rounds T's maximum to.
      const double beyond = std::ldexp(1.0, std::numeric_limits<T>::digits);
      if (!(value >= static_cast<double>(std::numeric_limits<T>::min()) && value < beyond && std::trunc(value) == value)) return false;
      append_le(out, static_cast<std::make_unsigned_t<T>>(static_cast<T>(value)));
    } else if constexpr (sizeof(T) == 4) {
      append_le(out, std::bit_cast<std::uint32_t>(static_cast<float>(value)));
    } else {
      append_le(out, std::bit_cast<std::uint64_t>(value));
    }
  }
  return true;
}

bool append_as(std::string& out, TorchDtype dtype, const std::vector<double>& values) {
  switch (dtype) {
    case TorchDtype::kBool:
      for (const double value : values) {
        if (value != 0 && value != 1) return false;
        out += value == 1 ? '\1' : '\0';
      }
      return true;
    case TorchDtype::kUint8: return append_values<std::uint8_t>(out, values);
    case TorchDtype::kInt8: return append_values<std::int8_t>(out, values);
    case TorchDtype::kInt16: return append_values<std::int16_t>(out, values);
    case TorchDtype::kInt32: return append_values<std::int32_t>(out, values);
    case TorchDtype::kInt64: return append_values<std::int64_t>(out, values);
    case TorchDtype::kFloat32: return append_values<float>(out, values);
    case TorchDtype::kFloat64: return append_values<double>(out, values);
    case TorchDtype::kUint16:
    case TorchDtype::kUint32:
    case TorchDtype::kUint64:
    case TorchDtype::kFloat16:
    case TorchDtype::kBfloat16: return false;
  }
  return false;
}

class Writer {
 public:
  Result<std::string> file(const TorchValue& root) {
    pickle_ = "\x80\x02";
    FLEXPERT_TRY(put(root, 0));
    pickle_ += '.';
    FLEXPERT_TRY(zip_.add("archive/data.pkl", pickle_));
    FLEXPERT_TRY(zip_.add("archive/byteorder", "little"));
    for (std::size_t i = 0; i < storages_.size(); ++i) FLEXPERT_TRY(zip_.add(fmt::format("archive/data/{}", i), storages_[i]));
    FLEXPERT_TRY(zip_.add("archive/version", "3\n"));
    return zip_.finish();
  }

 private:
  void integer(std::int64_t value) {
    if (std::in_range<std::int32_t>(value)) {
      pickle_ += 'J';
      append_le(pickle_, static_cast<std::uint32_t>(value));
    } else {
      pickle_ += "\x8a\x08";
      append_le(pickle_, static_cast<std::uint64_t>(value));
    }
  }
  void text(std::string_view value) {
    pickle_ += 'X';
    append_le(pickle_, static_cast<std::uint32_t>(value.size()));
    pickle_ += value;
  }
  void global(std::string_view module, std::string_view name) { pickle_ += fmt::format("c{}\n{}\n", module, name); }
  void tuple(const std::vector<std::uint64_t>& numbers) {
    pickle_ += '(';
    for (const std::uint64_t number : numbers) integer(static_cast<std::int64_t>(number));
    pickle_ += 't';
  }

  Result<void> put(const TorchValue& value, std::size_t depth) {
    constexpr std::size_t kMaxDepth = 64;
    if (depth == kMaxDepth) return fail(ErrorCode::kInvalidArgument, "torch: values nested deeper than {} levels", kMaxDepth);
    return std::visit(
        [&](const auto& item) -> Result<void> {
          using Item = std::decay_t<decltype(item)>;
          if constexpr (std::is_same_v<Item, std::monostate>) pickle_ += 'N';
          else if constexpr (std::is_same_v<Item, bool>) pickle_ += item ? '\x88' : '\x89';
          else if constexpr (std::is_same_v<Item, std::int64_t>) integer(item);
          else if constexpr (std::is_same_v<Item, double>) real(item);
          else if constexpr (std::is_same_v<Item, std::string>) text(item);
          else if constexpr (std::is_same_v<Item, TorchTensor>) return tensor(item);
          else if constexpr (std::is_same_v<Item, TorchValue::List>) return list(item, depth);
          else return dict(item, depth);
          return {};
        },
        value.value);
  }
  void real(double value) {
    pickle_ += 'G';
    const auto bits = std::bit_cast<std::uint64_t>(value);
    for (int shift = 56; shift >= 0; shift -= 8) pickle_ += static_cast<char>(static_cast<unsigned char>(bits >> shift));
  }
  Result<void> list(const TorchValue::List& items, std::size_t depth) {
    pickle_ += "](";
    for (const TorchValue& item : items) FLEXPERT_TRY(put(item, depth + 1));
    pickle_ += 'e';
    return {};
  }
  Result<void> dict(const TorchValue::Dict& fields, std::size_t depth) {
    std::unordered_set<std::string_view> keys;
    pickle_ += "}(";
    for (const auto& [key, value] : fields) {
      if (!keys.insert(key).second) return fail(ErrorCode::kInvalidArgument, "torch: a key twice in a dict: {}", key);
      text(key);
      FLEXPERT_TRY(put(value, depth + 1));
    }
    pickle_ += 'u';
    return {};
  }
  Result<void> tensor(const TorchTensor& item) {
    FLEXPERT_ASSIGN(const std::size_t elements, element_count(item.array.shape, "torch"));
    const TorchDtypeInfo& info = info_of(item.dtype);
    if (elements != item.array.values.size())
      return fail(ErrorCode::kInvalidArgument, "torch: a tensor {} needs {} values: {} given", shape_text(item.array.shape), elements,
                  item.array.values.size());
    std::string& bytes = storages_.emplace_back();
    bytes.reserve(elements * info.bytes);
    if (!append_as(bytes, item.dtype, item.array.values))
      return fail(ErrorCode::kInvalidArgument, "torch: value {} of a tensor is no {}: {}", bytes.size() / info.bytes, info.name,
                  elements == 0 ? 0.0 : item.array.values[std::min(bytes.size() / info.bytes, elements - 1)]);
    global("torch._utils", "_rebuild_tensor_v2");
    pickle_ += "((";
    text("storage");
    global("torch", info.storage);
    text(fmt::format("{}", storages_.size() - 1));
    text("cpu");
    integer(static_cast<std::int64_t>(elements));
    pickle_ += "tQ";
    integer(0);
    tuple(item.array.shape);
    std::vector<std::uint64_t> strides(item.array.shape.size(), 1);
    for (std::size_t i = strides.size(); i-- > 1;) strides[i - 1] = strides[i] * std::max<std::uint64_t>(item.array.shape[i], 1);
    tuple(strides);
    pickle_ += '\x89';
    global("collections", "OrderedDict");
    pickle_ += ")RtR";
    return {};
  }

  ZipWriter zip_;
  std::string pickle_;
  std::vector<std::string> storages_;
};

}  // namespace

Result<std::string> write_torch_file(const TorchValue& root) { return Writer().file(root); }

}  // namespace flexpert::codec
