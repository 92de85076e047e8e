#include <algorithm>
#include <array>
#include <optional>

#include "base/log.h"
#include "telemetry/append_file.h"
#include "telemetry/json_line.h"
#include "telemetry/request_log.h"

namespace flexpert::telemetry {
namespace {

using namespace json_line;

constexpr std::size_t kFlushAt = 64 * 1024;
/// Over what one record may take: 12 texts, 10 numbers, names, time.
constexpr std::size_t kLargestRecord = 12 * kLargestText + 10 * kLargestNumber + 512;

class AccessLogFile final : public AccessLog {
 public:
  explicit AccessLogFile(AppendFile file) : file_(std::move(file)) {}
  ~AccessLogFile() override { AccessLogFile::flush(); }

  void write(const AccessRecord& record) override {
    char* const begin = buffer_.data() + used_;
    PlainFields fields;
    const auto plain = [&fields](char* at, const auto& name, std::string_view text) { return fields.put_field(at, name, text); };
    const auto escaped = [](char* at, const auto& name, std::string_view text) { return json_line::put_field(at, name, text); };
    char* out = put_line(begin, record, plain);
    if (!fields.good()) out = put_line(begin, record, escaped);
    used_ = static_cast<std::size_t>(out - buffer_.data());
    ++lines_;
    if (used_ >= kFlushAt) flush();
  }

  void flush() override {
    if (used_ == 0) return;
    const auto written = file_.append({buffer_.data(), used_});
    if (!written) dropped_ += lines_;
    if (!written && !failing_) log::warn("access log: {}", written.error().message);
    failing_ = !written;
    used_ = 0;
    lines_ = 0;
  }

  void reopen() override {
    flush();
    auto anew = AppendFile::open(file_.path());
    if (anew) file_ = std::move(*anew);
    else log::warn("access log: {}; the old file stays in use", anew.error().message);
  }

  [[nodiscard]] std::uint64_t dropped() const override { return dropped_; }

 private:
  /// Writes the line with `put_field` for each of its texts; returns its end.
  template <class PutField>
  char* put_line(char* out, const AccessRecord& record, const PutField& put_field) {
    out = time_.put(put(out, "{\"time\":"), record.unix_ms);
    out = put_field(out, ",\"request_id\":", record.request_id);
    out = put_field(out, ",\"trace_id\":", record.trace_id);
    out = put_field(out, ",\"peer\":", record.peer);
    out = put_field(out, ",\"tenant\":", record.tenant);
    out = put_field(out, ",\"principal\":", record.principal);
    out = put_field(out, ",\"method\":", record.method);
    out = put_field(out, ",\"path\":", record.path);
    out = put_field(out, ",\"model\":", record.model);
    out = put_field(out, ",\"upstream\":", record.upstream);
    out = put_number(put(out, ",\"status\":"), static_cast<std::uint64_t>(std::max(record.status, 0)));
    out = put_field(out, ",\"outcome\":", record.outcome);
    out = put_field(out, ",\"reason\":", record.reason);
    out = put_number(put(out, ",\"request_bytes\":"), record.request_bytes);
    out = put_number(put(out, ",\"response_bytes\":"), record.response_bytes);
    out = put_number(put(out, ",\"attempts\":"), record.attempts);
    out = put_number(put(out, ",\"prompt_tokens\":"), record.prompt_tokens);
    out = put_number(put(out, ",\"completion_tokens\":"), record.completion_tokens);
    out = put_number(put(out, ",\"queue_us\":"), record.queue_us);
    out = put_number(put(out, ",\"ttft_us\":"), record.ttft_us);
    out = put_number(put(out, ",\"total_us\":"), record.total_us);
    out = put_field(out, ",\"degraded\":", record.degraded);
    return put(out, "}\n");
  }

  AppendFile file_;
  TimeText time_;
  std::array<char, kFlushAt + kLargestRecord> buffer_;
  std::size_t used_ = 0;
  std::uint64_t lines_ = 0;  ///< in the buffer
  std::uint64_t dropped_ = 0;
  bool failing_ = false;
};

class NoAccessLog final : public AccessLog {
 public:
  void write(const AccessRecord&) override {}
  void flush() override {}
  void reopen() override {}
  [[nodiscard]] std::uint64_t dropped() const override { return 0; }
};

}  // namespace

Result<std::unique_ptr<AccessLog>> AccessLog::open(const std::string& path) {
  if (path.empty()) return std::make_unique<NoAccessLog>();
  FLEXPERT_ASSIGN(AppendFile file, AppendFile::open(path));
  return std::make_unique<AccessLogFile>(std::move(file));
}

}  // namespace flexpert::telemetry
