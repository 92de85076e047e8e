#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "auth/api_key.h"
#include "base/result.h"
#include "store/key_store.h"

namespace flexpert::app {

/// Where `flexpert keys` finds keys, and what is known of roles.
struct KeyPlaces {
  std::string store;                      ///< SQLite file
  std::string pepper;
  std::vector<std::string> roles;         ///< that the policy knows; empty: there is no policy to ask
};

/// Takes the places from a configuration's `access:`, if one is named; `store` and `pepper`, where given, come before it. Errors:
/// as config::load_file().
Result<KeyPlaces> find_key_places(const std::string& config, const std::string& store, const std::string& pepper);

/// A key that was made now: the only time that its text is known.
struct NewKey {
  std::string text;
  auth::ApiKeyRecord record;
};

/// Makes a key with 256 random bits; `digest` and `id` of the record are filled in. Makes the pepper if there is none; `stored`
/// tells that keys under a pepper are there, so that a missing one is an error and not made anew.
Result<NewKey> make_key(const std::string& pepper_file, bool stored, auth::ApiKeyRecord record);

/// Appends a record to a YAML file for `access.keys_yaml`, made if it is not there; a reader never sees half of it. Errors: what
/// is wrong with the file as it is.
Result<void> append_key_record(const std::string& path, const auth::ApiKeyRecord& record);

}  // namespace flexpert::app
