#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace flexpert::routing {

/// Everything that an answer depends on. Two requests share an answer only if all of it is the same.
struct CacheScope {
  std::string_view tenant;
  std::string_view rights_digest;       ///< of what the caller may use of the model (auth::ModelRight::digest)
  std::string_view model;               ///< the one that answers, after any degradation
  std::uint64_t model_epoch = 0;        ///< changes when the model's weights or its engine's settings do
  std::string_view path;
  std::uint64_t cap_max_tokens = 0;     ///< of the degradation ladder; 0 = none
};

/// Writes `scope` and a canonical body as one text that no other scope and body give (every part goes with its length), to be
/// signed with a secret. `out` is cleared first; its memory is kept.
void write_cache_key_text(const CacheScope& scope, std::string_view canonical_body, std::string& out);

/// What a request's own Cache-Control allows. A client can only narrow what the configuration allows.
struct CacheControl {
  bool no_cache = false;  ///< it wants a new answer
  bool no_store = false;  ///< and nothing of it kept
};

/// Reads a Cache-Control field: no-cache, no-store and max-age=0 (as no-cache) in any case; other directives say nothing here.
CacheControl parse_cache_control(std::string_view value);

}  // namespace flexpert::routing
