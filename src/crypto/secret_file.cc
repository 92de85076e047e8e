#include "crypto/secret_file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base64url.h"
#include "crypto/hmac_key.h"

namespace flexpert::crypto {
namespace {

constexpr std::size_t kMostSecretBytes = 4096;

/// A descriptor that is closed.
struct OpenFile {
  explicit OpenFile(int the_fd) : fd(the_fd) {}
  ~OpenFile() {
    if (fd >= 0) ::close(fd);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int fd;
};

std::unexpected<Error> bad_file(std::string_view what, const std::string& path) {
  return fail(ErrorCode::kFailedPrecondition, "secret file {}: {}", what, path);
}

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace

Result<void> ensure_secret_file(const std::string& path) {
  struct stat there {};
  if (::stat(path.c_str(), &there) == 0) {
    FLEXPERT_TRY(read_secret_file(path));
    return {};
  }
  // Written beside and linked into its place: nobody ever reads half a secret, and the first of several makers wins.
  const std::string beside = fmt::format("{}.{}.{}", path, ::getpid(), to_base64url(random_bytes(6)));
  {
    const OpenFile file(::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (file.fd < 0) return bad_file(fmt::format("cannot be made ({})", std::strerror(errno)), path);
    if (!write_all(file.fd, to_base64url(random_bytes(kLeastSecretBytes)) + "\n")) {
      const int why = errno;
      ::unlink(beside.c_str());
      return bad_file(fmt::format("cannot be written ({})", std::strerror(why)), path);
    }
  }
  const int linked = ::link(beside.c_str(), path.c_str());
  const int why = errno;
  ::unlink(beside.c_str());
  if (linked != 0 && why != EEXIST) return bad_file(fmt::format("cannot be made ({})", std::strerror(why)), path);
  FLEXPERT_TRY(read_secret_file(path));
  return {};
}

Result<std::string> read_secret_file(const std::string& path) {
  const OpenFile file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.fd < 0) {
    if (errno == ENOENT) return fail(ErrorCode::kNotFound, "no such secret file: {}", path);
    return bad_file(fmt::format("cannot be read ({})", std::strerror(errno)), path);
  }
  struct stat status {};
  if (::fstat(file.fd, &status) != 0 || !S_ISREG(status.st_mode)) return bad_file("is no regular file", path);
  if ((status.st_mode & (S_IRWXO | S_IWGRP)) != 0) return bad_file(fmt::format("is open to others (mode {:o}); chmod 600 it",
      status.st_mode & 0777), path);
  std::string text(kMostSecretBytes + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::read(file.fd, text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return bad_file(fmt::format("cannot be read ({})", std::strerror(errno)), path);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  text.resize(size);
  if (text.size() > kMostSecretBytes) return bad_file(fmt::format("is longer than {} bytes", kMostSecretBytes), path);
  if (text.ends_with('\n')) text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
  if (text.find_first_of(std::string_view("\n\r\0", 3)) != std::string::npos) return bad_file("has more than one line of text", path);
  if (text.size() < kLeastSecretBytes) return bad_file(fmt::format("has a secret of {} bytes; {} are needed", text.size(),
      kLeastSecretBytes), path);
  return text;
}

}  // namespace flexpert::crypto
