#include "gateway/session_hash.h"

#include <algorithm>

#include <xxhash.h>

namespace flexpert::gateway {
namespace {

/// 0 means that there is no hash.
std::uint64_t hash_of(std::string_view text, std::uint64_t seed) {
  return std::max<std::uint64_t>(1, XXH3_64bits_withSeed(text.data(), text.size(), seed));
}

}  // namespace

void choose_hashes(routing::PickRequest& request, ModelPool& pool, const Caller& caller, const codec::Http1RequestView& head, std::string_view prompt) {
  const auto policy = pool.all().options().policy;
  if (policy != routing::PickPolicy::kPrefixHash && policy != routing::PickPolicy::kSession) return;
  const std::uint64_t tenant = hash_of(caller.identity.tenant, 0);
  if (policy == routing::PickPolicy::kPrefixHash) {
    if (!prompt.empty()) request.prefix_hash = hash_of(prompt.substr(0, pool.routing().prefix_bytes), tenant);
    return;
  }
  const std::string& header = pool.routing().session_header;
  const std::string_view session = header.empty() ? std::string_view() : head.find(std::string_view(header));
  const std::string_view whose = session.empty() ? std::string_view(caller.identity.id) : session;
  // Nobody in particular is not one session: the load decides.
  if (!whose.empty()) request.session_hash = hash_of(whose, tenant);
}

}  // namespace flexpert::gateway
