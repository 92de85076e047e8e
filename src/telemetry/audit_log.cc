#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/log.h"
#include "telemetry/append_file.h"
#include "telemetry/json_line.h"
#include "telemetry/request_log.h"

namespace flexpert::telemetry {
namespace {

using namespace json_line;

constexpr std::string_view kSequence = "{\"seq\":";
constexpr std::string_view kPrevious = ",\"prev\":\"";
/// Over what a line may take: ten texts, a digest, names.
constexpr std::size_t kLargestLine = 10 * kLargestText + 512;

/// Where the chain stands: what the next line refers to.
struct Link {
  std::uint64_t sequence = 0;  ///< of the last line; 0 = there is none
  std::string digest;          ///< of the last line
};

std::optional<std::uint64_t> sequence_of(std::string_view line) {
  if (!line.starts_with(kSequence)) return std::nullopt;
  std::uint64_t sequence = 0;
  const auto read = std::from_chars(line.data() + kSequence.size(), line.data() + line.size(), sequence);
  if (read.ec != std::errc() || sequence == 0) return std::nullopt;
  return sequence;
}

std::string_view previous_of(std::string_view line) {
  const std::size_t at = line.find(kPrevious);
  if (at == std::string_view::npos) return {};
  const std::string_view rest = line.substr(at + kPrevious.size());
  return rest.substr(0, rest.find('"'));
}

/// Writes the fields behind "seq" and "prev", and the end of the line.
char* put_fields(char* out, const AuditRecord& record) {
  out = TimeText().put(put(out, ",\"time\":"), record.unix_ms);
  out = put_field(out, ",\"event\":", record.event);
  out = put_field(out, ",\"request_id\":", record.request_id);
  out = put_field(out, ",\"tenant\":", record.tenant);
  out = put_field(out, ",\"principal\":", record.principal);
  out = put_field(out, ",\"peer\":", record.peer);
  out = put_field(out, ",\"action\":", record.action);
  out = put_field(out, ",\"object\":", record.object);
  out = put_field(out, ",\"reason\":", record.reason);
  out = put_field(out, ",\"policy_revision\":", record.policy_revision);
  return put(out, "}");
}

/// The lock of one line, so that processes take turns.
class FileLock {
 public:
  explicit FileLock(int fd) : fd_(fd) { ::flock(fd_, LOCK_EX); }
  ~FileLock() { ::flock(fd_, LOCK_UN); }
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int fd_;
};

class AuditLogFile final : public AuditLog {
 public:
  AuditLogFile(AppendFile file, AuditDigest digest) : file_(std::move(file)), digest_(std::move(digest)) {}

  void write(const AuditRecord& record) override {
    const FileLock lock(file_.fd());
    catch_up();
    std::string line = fmt::format("{}{}{}{}\"", kSequence, link_.sequence + 1, kPrevious, link_.digest);
    const std::size_t beginning = line.size();
    line.resize(beginning + kLargestLine);
    line.resize(static_cast<std::size_t>(put_fields(line.data() + beginning, record) - line.data()));
    std::string digest = digest_(line);
    line += '\n';
    if (const auto written = file_.append(line); !written) {
      ++failed_;
      log::error("audit log: {}; the record: {}", written.error().message, std::string_view(line).substr(0, line.size() - 1));
      return;  // what there is of the line is looked at with the next one
    }
    link_ = {link_.sequence + 1, std::move(digest)};
    end_ += static_cast<off_t>(line.size());
  }

  void reopen() override {
    auto anew = AppendFile::open(file_.path());
    if (!anew) return log::error("audit log: {}; the old file stays in use", anew.error().message);
    const FileLock lock(file_.fd());
    catch_up();
    file_ = std::move(*anew);
    end_ = 0;
  }

  [[nodiscard]] std::uint64_t failed() const override { return failed_; }

 private:
  /// Takes up the chain where another process, or an earlier life, has left it. An empty file goes on from what we know.
  void catch_up() {
    struct stat status {};
    if (::fstat(file_.fd(), &status) != 0 || status.st_size == end_) return;
    end_ = status.st_size;
    if (end_ == 0) return;
    const auto size = static_cast<std::size_t>(std::min<off_t>(end_, 2 * kLargestLine));
    std::string tail(size, '\0');
    const ssize_t got = ::pread(file_.fd(), tail.data(), size, end_ - static_cast<off_t>(size));
    tail.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (!tail.ends_with('\n')) {  // somebody died while writing: that line ends here, and the chain shows it
      if (file_.append("\n")) ++end_;
      tail += '\n';
    }
    std::string_view text(tail);
    text.remove_suffix(1);
    const std::string_view last = text.substr(text.rfind('\n') + 1);  // npos + 1 is 0
    // Of a line that cannot be read the number is not known: the one before tells.
    std::uint64_t sequence = 0;
    std::uint64_t unread = 0;
    for (std::string_view rest = text; !rest.empty() && sequence == 0;) {
      const std::size_t cut = rest.rfind('\n');
      sequence = sequence_of(rest.substr(cut + 1)).value_or(0);
      if (sequence == 0) ++unread;
      rest = cut == std::string_view::npos ? std::string_view() : rest.substr(0, cut);
    }
    link_ = {sequence + unread, digest_(last)};
  }

  AppendFile file_;
  AuditDigest digest_;
  Link link_;
  off_t end_ = 0;  ///< of the file when we last looked
  std::uint64_t failed_ = 0;
};

/// Records in the program's log; it has neither numbers nor a chain.
class AuditInLog final : public AuditLog {
 public:
  void write(const AuditRecord& record) override {
    std::string line(kLargestLine, '\0');
    char* const end = put_fields(line.data(), record);
    log::info("audit: {{{}", std::string_view(line.data() + 1, end));
  }
  void reopen() override {}
  [[nodiscard]] std::uint64_t failed() const override { return 0; }
};

}  // namespace

Result<std::unique_ptr<AuditLog>> AuditLog::open(const std::string& path, AuditDigest digest) {
  if (path.empty()) return std::make_unique<AuditInLog>();
  FLEXPERT_ASSIGN(AppendFile file, AppendFile::open(path));
  return std::make_unique<AuditLogFile>(std::move(file), std::move(digest));
}

Result<std::uint64_t> check_audit_log(std::string_view text, const AuditDigest& digest) {
  std::uint64_t number = 0;
  Link link;
  while (!text.empty()) {
    ++number;
    const std::size_t cut = text.find('\n');
    if (cut == std::string_view::npos) return fail(ErrorCode::kDataLoss, "audit log: the last line does not end, line {}", number);
    const std::string_view line = text.substr(0, cut);
    text.remove_prefix(cut + 1);
    const auto sequence = sequence_of(line);
    if (!sequence) return fail(ErrorCode::kDataLoss, "audit log: not a record, line {}", number);
    const bool follows = number == 1 || (*sequence == link.sequence + 1 && previous_of(line) == link.digest);
    if (!follows)
      return fail(ErrorCode::kDataLoss, "audit log: does not follow from the line before, something was changed or removed, line {}", number);
    link = {*sequence, digest(line)};
  }
  return number;
}

}  // namespace flexpert::telemetry
