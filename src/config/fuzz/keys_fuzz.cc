// Any bytes as a file of key records: records that are read back from what they are written as, or an error with the file's name.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "config/key_records.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace flexpert;
  const auto records = config::parse_key_records(std::string(reinterpret_cast<const char*>(data), size), "fuzz.yaml");
  if (!records) {
    FLEXPERT_CHECK(records.error().message.starts_with("fuzz.yaml:"), "an error must name the file");
    return 0;
  }
  FLEXPERT_CHECK(auth::ApiKeys::make(*records).has_value(), "no id and no digest may be there twice");
  return 0;
}
