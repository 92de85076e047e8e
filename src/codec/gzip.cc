#include "codec/gzip.h"

#include <algorithm>
#include <limits>

#include <zlib.h>

namespace flexpert::codec {
namespace {

constexpr int kGzip = 15 + 16;  // the largest window, gzip framing
constexpr int kRaw = -15;
constexpr std::size_t kPiece = std::size_t{1} << 30;  // zlib counts in 32 bits
constexpr std::size_t kGrowth = std::size_t{1} << 16;

class Inflater {
 public:
  explicit Inflater(int window_bits) : ready_(inflateInit2(&stream_, window_bits) == Z_OK) {}
  ~Inflater() {
    if (ready_) inflateEnd(&stream_);
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  [[nodiscard]] bool ready() const { return ready_; }
  z_stream& stream() { return stream_; }

 private:
  z_stream stream_{};
  bool ready_;
};

Bytef* in(std::string_view bytes) { return reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data())); }

const char* why(const z_stream& stream) { return stream.msg != nullptr ? stream.msg : "the data is damaged"; }

}  // namespace

bool is_gzip(std::string_view bytes) { return bytes.starts_with("\x1f\x8b"); }

Result<std::string> gunzip(std::string_view bytes, std::size_t max_bytes) {
  if (!is_gzip(bytes)) return fail(ErrorCode::kInvalidArgument, "gzip: the file does not begin with 1f 8b: it is no gzip file");
  Inflater inflater(kGzip);
  if (!inflater.ready()) return fail(ErrorCode::kInternal, "gzip: zlib does not start");
  z_stream& stream = inflater.stream();
  std::string out;
  std::size_t filled = 0;
  std::size_t at = 0;
  for (;;) {
    const std::size_t piece = std::min(bytes.size() - at, kPiece);
    stream.next_in = in(bytes.substr(at));
    stream.avail_in = static_cast<uInt>(piece);
    // One byte of room more than allowed tells an end at the limit from too much.
    if (filled == out.size()) out.resize(std::min(std::max(out.size() * 2, kGrowth), std::max(max_bytes, max_bytes + 1)));
    const std::size_t room = std::min(out.size() - filled, kPiece);
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + filled);
    stream.avail_out = static_cast<uInt>(room);
    const int status = inflate(&stream, Z_NO_FLUSH);
    at += piece - stream.avail_in;
    filled += room - stream.avail_out;
    if (filled > max_bytes) return fail(ErrorCode::kResourceExhausted, "gzip: the file holds more than the {} bytes allowed", max_bytes);
    if (status == Z_STREAM_END) {
      if (at == bytes.size()) break;
      if (!is_gzip(bytes.substr(at)))
        return fail(ErrorCode::kDataLoss, "gzip: {} bytes after the last member (from byte {}) are no gzip member", bytes.size() - at, at);
      if (inflateReset(&stream) != Z_OK) return fail(ErrorCode::kInternal, "gzip: zlib does not reset");
      continue;
    }
    if (status != Z_OK && status != Z_BUF_ERROR) return fail(ErrorCode::kDataLoss, "gzip: damaged near byte {}: {}", at, why(stream));
    if (at == bytes.size() && stream.avail_out > 0)
      return fail(ErrorCode::kDataLoss, "gzip: the file is truncated: it ends after {} bytes inside a member", bytes.size());
  }
  out.resize(filled);
  return out;
}

Result<std::string> inflate_raw(std::string_view bytes, std::size_t size) {
  Inflater inflater(kRaw);
  if (!inflater.ready()) return fail(ErrorCode::kInternal, "deflate: zlib does not start");
  z_stream& stream = inflater.stream();
  std::string out(size, '\0');
  char beyond = 0;
  std::size_t filled = 0;
  std::size_t at = 0;
  for (;;) {
    const std::size_t piece = std::min(bytes.size() - at, kPiece);
    stream.next_in = in(bytes.substr(at));
    stream.avail_in = static_cast<uInt>(piece);
    const std::size_t room = filled < size ? std::min(size - filled, kPiece) : 1;
    stream.next_out = reinterpret_cast<Bytef*>(filled < size ? out.data() + filled : &beyond);
    stream.avail_out = static_cast<uInt>(room);
    const int status = inflate(&stream, Z_NO_FLUSH);
    at += piece - stream.avail_in;
    filled += room - stream.avail_out;
    if (filled > size) return fail(ErrorCode::kDataLoss, "deflate: the stream holds more than the {} bytes announced", size);
    if (status == Z_STREAM_END) break;
    if (status != Z_OK && status != Z_BUF_ERROR) return fail(ErrorCode::kDataLoss, "deflate: damaged near byte {}: {}", at, why(stream));
    if (at == bytes.size() && stream.avail_out > 0)
      return fail(ErrorCode::kDataLoss, "deflate: the stream is truncated after {} bytes", bytes.size());
  }
  if (filled != size) return fail(ErrorCode::kDataLoss, "deflate: the stream holds {} bytes, {} announced", filled, size);
  if (at != bytes.size()) return fail(ErrorCode::kDataLoss, "deflate: {} bytes follow the end of the stream", bytes.size() - at);
  return out;
}

Result<std::string> gzip(std::string_view bytes) {
  z_stream stream{};
  if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    return fail(ErrorCode::kInternal, "gzip: zlib does not start");
  std::string out;
  std::size_t at = 0;
  std::size_t filled = 0;
  int status = Z_OK;
  while (status == Z_OK || status == Z_BUF_ERROR) {
    const std::size_t piece = std::min(bytes.size() - at, kPiece);
    stream.next_in = in(bytes.substr(at));
    stream.avail_in = static_cast<uInt>(piece);
    if (filled == out.size()) out.resize(std::max(out.size() * 2, kGrowth));
    const std::size_t room = std::min(out.size() - filled, kPiece);
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + filled);
    stream.avail_out = static_cast<uInt>(room);
    status = deflate(&stream, at + piece == bytes.size() ? Z_FINISH : Z_NO_FLUSH);
    at += piece - stream.avail_in;
    filled += room - stream.avail_out;
  }
  deflateEnd(&stream);
  if (status != Z_STREAM_END) return fail(ErrorCode::kInternal, "gzip: zlib failed with {}", status);
  out.resize(filled);
  return out;
}

}  // namespace flexpert::codec
