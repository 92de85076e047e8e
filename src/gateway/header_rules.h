#pragma once

#include "http/message.h"

namespace flexpert::gateway {

/// The headers of a client's request that an upstream gets: no hop-by-hop ones, none of ours (X-Flexpert-*, the expert
/// access token), nothing that http::Client makes itself, and no Accept-Encoding, because streams are read on the way.
http::Headers headers_for_upstream(const http::Headers& from_client);

/// The headers of an upstream's answer that a client gets: no hop-by-hop ones, none of ours, nothing that http::Server
/// makes itself.
http::Headers headers_for_client(const http::Headers& from_upstream);

}  // namespace flexpert::gateway
