#include "codec/npy.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <type_traits>

#include "codec/little_endian.h"
#include "codec/small_floats.h"
#include "codec/zip_archive.h"

namespace flexpert::codec {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kMaxHeader = 65'536;

std::string shown(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 60)) out += static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e ? '?' : c;
  return out;
}

struct Header {
  std::string descr;  ///< "<i8"
  bool fortran = false;
  std::vector<std::uint64_t> shape;
};

/// Reads the Python literal {'descr': '<i8', 'fortran_order': False, 'shape': (2, 3), } and nothing else.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, std::string_view what) : text_(text), what_(what) {}

  Result<Header> parse() {
    if (!accept('{')) return wrong();
    while (!accept('}')) {
      const auto key = string();
      if (!key || !accept(':')) return wrong();
      if (*key == "descr" && !descr_) {
        descr_ = string();
        if (!descr_)
          return fail(ErrorCode::kInvalidArgument, "{}: structured types are not read; give a plain array of numbers", what_);
      } else if (*key == "fortran_order" && !fortran_) {
        fortran_ = boolean();
        if (!fortran_) return wrong();
      } else if (*key == "shape" && !shape_) {
        shape_ = tuple();
        if (!shape_) return wrong();
      } else {
        return wrong();
      }
      if (!accept(',') && peek() != '}') return wrong();
    }
    skip_blanks();
    if (at_ != text_.size() || !descr_ || !fortran_ || !shape_) return wrong();
    return Header{std::move(*descr_), *fortran_, std::move(*shape_)};
  }

 private:
  std::unexpected<Error> wrong() const {
    return fail(ErrorCode::kInvalidArgument, "{}: the header is not numpy's (descr, fortran_order and shape), at its byte {}: {}", what_,
                at_, shown(text_));
  }
  void skip_blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }
  char peek() {
    skip_blanks();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool accept(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  std::optional<std::string> string() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') return std::nullopt;
    const std::size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) return std::nullopt;
    std::string out(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    return out;
  }
  std::optional<bool> boolean() {
    skip_blanks();
    for (const bool value : {true, false}) {
      const std::string_view word = value ? "True" : "False";
      if (!text_.substr(at_).starts_with(word)) continue;
      at_ += word.size();
      return value;
    }
    return std::nullopt;
  }
  std::optional<std::vector<std::uint64_t>> tuple() {
    std::vector<std::uint64_t> out;
    if (!accept('(')) return std::nullopt;
    while (!accept(')')) {
      skip_blanks();
      std::uint64_t value = 0;
      const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
      if (error != std::errc{} || out.size() > kMaxArrayRank) return std::nullopt;
      at_ = static_cast<std::size_t>(end - text_.data());
      accept('L');  // Python 2 wrote 3L
      out.push_back(value);
      if (!accept(',') && peek() != ')') return std::nullopt;
    }
    return out;
  }

  std::string_view text_;
  std::string_view what_;
  std::size_t at_ = 0;
  std::optional<std::string> descr_;
  std::optional<bool> fortran_;
  std::optional<std::vector<std::uint64_t>> shape_;
};

using Load = double (*)(std::string_view, std::size_t, bool);

template <class T>
double load_as(std::string_view data, std::size_t index, bool big_endian) {
  return static_cast<double>(load_element<T>(data, index, big_endian));
}
double load_bool(std::string_view data, std::size_t index, bool /*big_endian*/) { return data[index] != 0 ? 1 : 0; }
double load_half(std::string_view data, std::size_t index, bool big_endian) {
  return from_float16(load_element<std::uint16_t>(data, index, big_endian));
}

struct Type {
  std::string_view code;
  std::size_t bytes;
  Load load;
};

constexpr Type kTypes[] = {
    {"b1", 1, load_bool},
    {"i1", 1, load_as<std::int8_t>},
    {"u1", 1, load_as<std::uint8_t>},
    {"i2", 2, load_as<std::int16_t>},
    {"u2", 2, load_as<std::uint16_t>},
    {"i4", 4, load_as<std::int32_t>},
    {"u4", 4, load_as<std::uint32_t>},
    {"i8", 8, load_as<std::int64_t>},
    {"u8", 8, load_as<std::uint64_t>},
    {"f2", 2, load_half},
    {"f4", 4, load_as<float>},
    {"f8", 8, load_as<double>},
};

Result<Type> type_of(std::string_view descr, std::string_view what) {
  if (descr.size() == 3 && std::string_view("<>|=").find(descr[0]) != std::string_view::npos)
    for (const Type& type : kTypes)
      if (type.code == descr.substr(1) && (descr[0] != '|' || type.bytes == 1)) return type;
  return fail(ErrorCode::kInvalidArgument, "{}: the type '{}' is not read: use a bool, integer or float of at most 8 bytes", what,
              shown(descr));
}

/// Appends every value as a little-endian T; false at the first one that T cannot hold.
template <class T>
bool append_as(std::string& out, const std::vector<double>& values) {
  for (const double value : values) {
    if constexpr (std::is_integral_v<T>) {
      const double beyond = std::ldexp(1.0, std::numeric_limits<T>::digits);
      if (!(value >= -beyond && value < beyond && std::trunc(value) == value)) return false;
      append_le(out, static_cast<std::make_unsigned_t<T>>(static_cast<T>(value)));
    } else if constexpr (sizeof(T) == 4) {
      append_le(out, std::bit_cast<std::uint32_t>(static_cast<float>(value)));
    } else {
      append_le(out, std::bit_cast<std::uint64_t>(value));
    }
  }
  return true;
}

}  // namespace

bool is_npy(std::string_view bytes) { return bytes.starts_with(kMagic); }

Result<NumberArray> parse_npy(std::string_view bytes, std::string_view what) {
  if (!is_npy(bytes)) return fail(ErrorCode::kInvalidArgument, "{}: does not begin with \\x93NUMPY: it is no .npy file", what);
  if (bytes.size() < 12) return fail(ErrorCode::kDataLoss, "{}: truncated in its header", what);
  const auto version = static_cast<unsigned char>(bytes[6]);
  if (version < 1 || version > 3 || bytes[7] != 0)
    return fail(ErrorCode::kInvalidArgument, "{}: format version {} is not read, only 1 to 3", what, version);
  const std::size_t length_bytes = version == 1 ? 2 : 4;
  const std::size_t length = version == 1 ? load_le<std::uint16_t>(bytes, 8) : load_le<std::uint32_t>(bytes, 8);
  const std::size_t begin = 8 + length_bytes;
  if (length > kMaxHeader)
    return fail(ErrorCode::kResourceExhausted, "{}: a header of {} bytes; at most {} are read", what, length, kMaxHeader);
  if (length > bytes.size() - begin) return fail(ErrorCode::kDataLoss, "{}: truncated in its header", what);
  FLEXPERT_ASSIGN(Header header, HeaderParser(bytes.substr(begin, length), what).parse());
  FLEXPERT_ASSIGN(const Type type, type_of(header.descr, what));
  FLEXPERT_ASSIGN(const std::size_t elements, element_count(header.shape, what));
  const std::string_view data = bytes.substr(begin + length);
  if (data.size() != elements * type.bytes)
    return fail(ErrorCode::kDataLoss, "{}: {} of {} needs {} bytes of data, the file has {}", what, shape_text(header.shape), header.descr,
                elements * type.bytes, data.size());
  const bool big_endian = header.descr[0] == '>';
  const bool whole = type.code == "i8" || type.code == "u8";
  NumberArray array{std::move(header.shape), {}};
  array.values.reserve(elements);
  std::vector<std::uint64_t> strides(array.shape.size(), 1);
  for (std::size_t i = 1; i < strides.size(); ++i) strides[i] = strides[i - 1] * array.shape[i - 1];
  for (std::size_t i = 0; i < elements; ++i) {
    std::size_t from = i;
    if (header.fortran) {
      from = 0;
      std::size_t rest = i;
      for (std::size_t axis = strides.size(); axis-- > 0;) {
        from += rest % array.shape[axis] * strides[axis];
        rest /= array.shape[axis];
      }
    }
    const double value = type.load(data, from, big_endian);
    if (whole && std::abs(value) > 0x1p53) return fail(ErrorCode::kInvalidArgument, "{}: element {} is beyond 2^53: {}", what, i, value);
    array.values.push_back(value);
  }
  return array;
}

Result<NumberArray> parse_npz(std::string_view bytes, std::string_view name) {
  FLEXPERT_ASSIGN(const ZipArchive archive, ZipArchive::open(bytes));
  const auto& entries = archive.entries();
  const ZipEntry* entry = name.empty() ? archive.find("logical_count.npy") : archive.find(fmt::format("{}.npy", name));
  if (entry == nullptr && name.empty() && entries.size() == 1) entry = &entries.front();
  if (entry == nullptr) {
    std::string names;
    for (std::size_t i = 0; i < std::min<std::size_t>(entries.size(), 20); ++i)
      names += fmt::format(" {}", shown(std::string_view(entries[i].name).substr(0, entries[i].name.rfind(".npy"))));
    return fail(ErrorCode::kNotFound, "npz: no array '{}'; select one of:{}", name.empty() ? "logical_count" : shown(name),
                names.empty() ? " nothing" : names);
  }
  FLEXPERT_ASSIGN(const std::string array, archive.read(*entry));
  return parse_npy(array, fmt::format("npz: {}", shown(entry->name)));
}

Result<std::string> write_npy(const NumberArray& array, NpyType type) {
  FLEXPERT_ASSIGN(const std::size_t elements, element_count(array.shape, "npy"));
  if (elements != array.values.size())
    return fail(ErrorCode::kInvalidArgument, "npy: an array {} needs {} values: {} given", shape_text(array.shape), elements,
                array.values.size());
  const char* descr = type == NpyType::kInt32 ? "<i4" : type == NpyType::kInt64 ? "<i8" : type == NpyType::kFloat32 ? "<f4" : "<f8";
  std::string shape;
  for (const std::uint64_t extent : array.shape) shape += fmt::format("{}, ", extent);
  if (array.shape.size() > 1) shape.resize(shape.size() - 2);  // (3,) but (2, 3)
  if (array.shape.size() == 1) shape.resize(shape.size() - 1);
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", descr, shape);
  constexpr std::size_t kAlignment = 64;
  constexpr std::size_t kBefore = 10;
  header.append(kAlignment - (kBefore + header.size() + 1) % kAlignment, ' ');
  header += '\n';
  std::string out(kMagic);
  out += "\1";
  out += '\0';
  append_le(out, static_cast<std::uint16_t>(header.size()));
  out += header;
  const std::size_t begin = out.size();
  const bool held = type == NpyType::kInt32     ? append_as<std::int32_t>(out, array.values)
                    : type == NpyType::kInt64   ? append_as<std::int64_t>(out, array.values)
                    : type == NpyType::kFloat32 ? append_as<float>(out, array.values)
                                                : append_as<double>(out, array.values);
  const std::size_t width = type == NpyType::kInt32 || type == NpyType::kFloat32 ? 4 : 8;
  if (!held) {
    const std::size_t at = (out.size() - begin) / width;
    return fail(ErrorCode::kInvalidArgument, "npy: value {} is no {}: {}; write floats", at, descr, array.values[at]);
  }
  return out;
}

}  // namespace flexpert::codec
