#pragma once

#include <string>

#include "codec/http1_view.h"
#include "http/message.h"

namespace flexpert::gateway {

/// Appends the fields of a client's request that an upstream gets, as lines: no hop-by-hop ones (those that Connection lists
/// among them), none of ours in any spelling, nothing that says where the request came from or which way it should go, nothing that the
/// gateway makes itself (Host, framing, request id, trace context), and no Accept-Encoding, because answers are read on the way.
/// Credentials that were shown to the gateway stay here; `keep_credentials` passes on those of a caller that it did not ask for any.
void append_fields_for_upstream(std::string& lines, const codec::Http1RequestView& head, bool keep_credentials);

/// Appends the fields of an upstream's answer that a client gets: no hop-by-hop ones, none of ours, nothing that the gateway
/// makes itself. `own_rate_limits`: so are x-ratelimit-* fields.
void append_fields_for_client(std::string& lines, const codec::Http1ResponseView& head, bool own_rate_limits);

/// The headers of a client's request that an upstream gets: no hop-by-hop ones, none of ours (X-Flexpert-*, the expert
/// access token), nothing that http::Client makes itself, and no Accept-Encoding, because streams are read on the way.
http::Headers headers_for_upstream(const http::Headers& from_client);

/// The headers of an upstream's answer that a client gets: no hop-by-hop ones, none of ours, nothing that http::Server
/// makes itself.
http::Headers headers_for_client(const http::Headers& from_upstream);

}  // namespace flexpert::gateway
