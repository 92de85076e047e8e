#pragma once

#include <string>
#include <vector>

#include "auth/api_key.h"
#include "base/result.h"

/// API keys in a YAML file (`access.keys_yaml`): `keys:` with one record an item, as `flexpert keys create --record` writes it.
namespace flexpert::config {

/// Errors: as parse(); an id or a digest that is given twice is one, too. A digest is never repeated in a message: somebody may
/// have put the key itself there.
Result<std::vector<auth::ApiKeyRecord>> parse_key_records(const std::string& text, const std::string& source);
Result<std::vector<auth::ApiKeyRecord>> load_key_records(const std::string& path);

/// Returns a record as one line of YAML, an item of `keys:`, without a newline.
std::string key_record_line(const auth::ApiKeyRecord& record);

}  // namespace flexpert::config
