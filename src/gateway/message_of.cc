#include "gateway/message_of.h"

namespace flexpert::gateway {

http::Request message_of(const http::InboundExchange& exchange) {
  http::Request request;
  request.method = exchange.head().method;
  request.target = exchange.head().target;
  for (const codec::Http1FieldView& field : exchange.head().fields)
    if (field.known != codec::Http1KnownField::kInternal) request.headers.add(std::string(field.name), std::string(field.value));
  request.body = exchange.body();
  request.peer = exchange.peer();
  return request;
}

}  // namespace flexpert::gateway
