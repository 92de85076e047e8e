#pragma once

#include <string>

#include "codec/http1_view.h"

namespace flexpert::gateway {

/// Appends the fields of a client's request that an upstream gets, as lines: no hop-by-hop ones (those that Connection lists
/// among them), none of ours in any spelling, nothing that says where the request came from or which way it should go, nothing that the
/// gateway makes itself (Host, framing, request id, trace context), no name with an underscore, and no Accept-Encoding, because answers
/// are read on the way.
/// Credentials are for the gateway and stay here.
void append_fields_for_upstream(std::string& lines, const codec::Http1RequestView& head);

/// Appends the fields of an upstream's answer that a client gets: no hop-by-hop ones, none of ours, nothing that the gateway
/// makes itself. `own_rate_limits`: so are x-ratelimit-* fields.
void append_fields_for_client(std::string& lines, const codec::Http1ResponseView& head, bool own_rate_limits);

}  // namespace flexpert::gateway
