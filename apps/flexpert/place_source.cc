#include "flexpert/place_source.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>

#include "codec/gzip.h"
#include "flexpert/files.h"
#include "flexpert/place_screen.h"

namespace flexpert::app {

namespace {

namespace fs = std::filesystem;

Result<std::string> read_all(std::FILE* file, const std::string& name) {
  std::string bytes;
  char block[65536];
  for (std::size_t got = 0; (got = std::fread(block, 1, sizeof block, file)) > 0;) {
    if (bytes.size() + got > kMostPlaceBytes) return fail(ErrorCode::kResourceExhausted, "input is larger than 1 GiB: {}", name);
    bytes.append(block, got);
  }
  if (std::ferror(file) != 0) return fail(ErrorCode::kUnavailable, "input cannot be read: {}: {}", name, std::strerror(errno));
  return bytes;
}

Result<std::string> read_file(const std::string& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) return fail(ErrorCode::kInvalidArgument, "input is a folder; name a file in it: {}", path);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  if (!file) return fail(ErrorCode::kNotFound, "input cannot be read: {}: {}", path, std::strerror(errno));
  return read_all(file.get(), path);
}

}  // namespace

std::optional<Result<net::Address>> engine_address(const std::string& source) {
  if (source.starts_with("unix:")) return net::Address::parse(source);
  if (source.starts_with("https://"))
    return Result<net::Address>(
        fail(ErrorCode::kInvalidArgument, "TLS is not spoken here; use http:// through a tunnel or a proxy: {}", source));
  if (!source.starts_with("http://")) return std::nullopt;
  std::string text = source.substr(7);
  while (text.ends_with('/')) text.pop_back();
  if (const std::size_t slash = text.find('/'); slash != std::string::npos)
    return Result<net::Address>(
        fail(ErrorCode::kInvalidArgument, "an engine is named by host and port alone, as in http://{}: {}", text.substr(0, slash), source));
  auto address = net::Address::parse(text);
  if (!address) return Result<net::Address>(fail(address.error().with_context(source)));
  return address;
}

Result<PlaceBytes> read_place_bytes(const std::string& source) {
  PlaceBytes input{source, "", ""};
  if (source.empty()) return fail(ErrorCode::kInvalidArgument, "input has no name: name a file, or - for stdin");
  if (source == "-") {
    input.name = "stdin";
    FLEXPERT_ASSIGN(input.bytes, read_all(stdin, "stdin"));
  } else if (source.front() == '{' || source.front() == '[') {
    input.name = "inline JSON";
    input.bytes = source;
  } else {
    std::error_code error;
    std::string path = source;
    if (const std::size_t hash = source.rfind('#'); hash != std::string::npos && !fs::exists(source, error)) {
      path = source.substr(0, hash);
      input.path = source.substr(hash + 1);
    }
    FLEXPERT_ASSIGN(input.bytes, read_file(path));
    input.name = path;
  }
  if (codec::is_gzip(input.bytes)) {
    auto unpacked = codec::gunzip(input.bytes, kMostPlaceBytes);
    if (!unpacked) return fail(unpacked.error().with_context(input.name));
    input.bytes = std::move(*unpacked);
  }
  if (input.bytes.empty()) return fail(ErrorCode::kInvalidArgument, "input is empty: {}", input.name);
  return input;
}

Result<void> write_place_bytes(const std::string& target, const std::string& bytes) {
  if (target == "-") {
    write_out(bytes);
    return {};
  }
  std::error_code error;
  if (!fs::exists(target, error) || fs::is_regular_file(target, error)) return write_text_file(target, bytes);
  // A device or a pipe is written to, not replaced.
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(target.c_str(), "wb"), &std::fclose);
  if (!file || std::fwrite(bytes.data(), 1, bytes.size(), file.get()) != bytes.size() || std::fflush(file.get()) != 0)
    return fail(ErrorCode::kUnavailable, "file cannot be written: {}: {}", target, std::strerror(errno));
  return {};
}

}  // namespace flexpert::app
