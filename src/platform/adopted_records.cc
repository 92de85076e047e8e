#include "platform/adopted_records.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/log.h"
#include "base/state_text.h"

namespace flexpert::platform {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSuffix = ".process";
constexpr std::int64_t kMostTexts = 4096;

void write_texts(StateWriter& writer, const std::vector<std::string>& texts) {
  writer.integer(static_cast<std::int64_t>(texts.size()));
  for (const std::string& text : texts) writer.text(text);
}

std::vector<std::string> read_texts(StateReader& reader) {
  const std::int64_t count = reader.integer();
  if (count < 0 || count > kMostTexts) reader.reject("a count of texts");
  std::vector<std::string> texts;
  for (std::int64_t i = 0; reader.ok() && i < count; ++i) texts.push_back(reader.text());
  return texts;
}

}  // namespace

std::string encode(const ProcessRecord& record) {
  StateWriter writer;
  writer.tag("process/2");
  writer.text(record.spec.id.value);
  write_texts(writer, record.spec.argv);
  write_texts(writer, record.spec.environment);
  writer.text(record.spec.readiness.address);
  writer.text(record.spec.readiness.http_path);
  writer.integer(record.spec.readiness.timeout.count());
  writer.integer(record.spec.restart_on_crash ? 1 : 0);
  writer.integer(record.spec.drain_deadline.count());
  writer.text(record.spec.shared_listen);
  writer.integer(record.identity.pid);
  writer.integer(record.identity.start_ticks);
  writer.text(record.identity.boot_id);
  writer.integer(record.ready ? 1 : 0);
  writer.integer(record.stopping ? 1 : 0);
  writer.integer(record.restarts);
  return writer.take();
}

Result<ProcessRecord> decode_process_record(const std::string& text) {
  StateReader reader(text);
  ProcessRecord record;
  reader.tag("process/2");
  record.spec.id.value = reader.text();
  record.spec.argv = read_texts(reader);
  record.spec.environment = read_texts(reader);
  record.spec.readiness.address = reader.text();
  record.spec.readiness.http_path = reader.text();
  record.spec.readiness.timeout = Duration(reader.integer());
  record.spec.restart_on_crash = reader.integer() != 0;
  record.spec.drain_deadline = Duration(reader.integer());
  record.spec.shared_listen = reader.text();
  record.spec.may_outlive_us = true;
  record.identity.pid = static_cast<int>(reader.integer());
  record.identity.start_ticks = reader.integer();
  record.identity.boot_id = reader.text();
  record.ready = reader.integer() != 0;
  record.stopping = reader.integer() != 0;
  record.restarts = static_cast<std::uint32_t>(reader.integer());
  FLEXPERT_TRY(reader.result());
  if (record.spec.argv.empty() || record.identity.pid <= 1) return fail(ErrorCode::kDataLoss, "record of a process without a program or a pid");
  return record;
}

std::string ProcessRecords::path_of(const InstanceId& id) const { return fmt::format("{}/{}{}", folder_, id, kSuffix); }

Result<void> ProcessRecords::write(const ProcessRecord& record) const {
  const std::string path = path_of(record.spec.id);
  const std::string fresh = path + ".new";
  std::ofstream file(fresh, std::ios::binary | std::ios::trunc);
  file << encode(record);
  file.close();
  std::error_code error;
  if (file.good()) fs::rename(fresh, path, error);
  if (!file.good() || error) return fail(ErrorCode::kUnavailable, "cannot write down the process: {}", path);
  return {};
}

void ProcessRecords::remove(const InstanceId& id) const {
  std::error_code error;
  if (kept()) fs::remove(path_of(id), error);
}

std::vector<ProcessRecord> ProcessRecords::read_all() const {
  std::vector<ProcessRecord> records;
  std::error_code error;
  if (!kept()) return records;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    if (!entry.path().filename().string().ends_with(kSuffix)) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    auto record = decode_process_record({std::istreambuf_iterator<char>(file), {}});
    if (record && path_of(record->spec.id) == entry.path().string()) {
      records.push_back(std::move(*record));
      continue;
    }
    log::error("the record of a process cannot be read and is dropped: {}: {}", entry.path().string(), record ? "of another name" : record.error().message);
    std::error_code ignored;
    fs::remove(entry.path(), ignored);
  }
  std::sort(records.begin(), records.end(), [](const auto& a, const auto& b) { return a.spec.id < b.spec.id; });
  return records;
}

}  // namespace flexpert::platform
