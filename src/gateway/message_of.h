#pragma once

#include "http/inbound.h"
#include "http/message.h"

namespace flexpert::gateway {

/// Copies a request for those who carry it out away from the data plane. Without internal fields, in whichever spelling they came.
http::Request message_of(const http::InboundExchange& exchange);

}  // namespace flexpert::gateway
