#include "gateway/header_rules.h"

#include <gtest/gtest.h>

#include "codec/http1_scan.h"

namespace flexpert::gateway {
namespace {

using codec::Http1KnownField;

template <class Head>
void add(Head& head, std::string_view name, std::string_view value, Http1KnownField known = Http1KnownField::kOther) {
  head.fields.push_back({name, value, known});
  codec::http1_scan::note_field(head, known);
}

TEST(HeaderRules, AnUpstreamGetsNeitherHopByHopNorInternalNorSteeringFields) {
  codec::Http1RequestView head;
  add(head, "connection", "close , X-Drop-Me,, x-and-me", Http1KnownField::kConnection);
  add(head, "X-Drop-Me", "1");
  add(head, "X-And-Me", "1");
  add(head, "Upgrade", "h2c", Http1KnownField::kUpgrade);
  add(head, "TE", "trailers", Http1KnownField::kTe);
  add(head, "x_flexpert_allowed", "C", Http1KnownField::kInternal);
  add(head, "Host", "example", Http1KnownField::kHost);
  add(head, "X-Forwarded-For", "1.2.3.4", Http1KnownField::kXForwardedFor);
  add(head, "x-real-ip", "1.2.3.4");
  add(head, "X-Session-Id", "1");
  add(head, "x-data-parallel-rank", "3");
  add(head, "X-Gateway-Anything", "3");
  add(head, "x-expert-access-token", "T");
  add(head, "X_Tenant_ID", "1");
  add(head, "X_Forwarded_For", "1.2.3.4");
  add(head, "X-Kept", "1");
  std::string lines;
  append_fields_for_upstream(lines, head);
  EXPECT_EQ(lines, "X-Kept: 1\r\n");
}

TEST(HeaderRules, CredentialsShownToTheGatewayStayThere) {
  codec::Http1RequestView head;
  add(head, "Authorization", "Bearer k", Http1KnownField::kAuthorization);
  add(head, "x-api-key", "k", Http1KnownField::kXApiKey);
  std::string lines;
  append_fields_for_upstream(lines, head);
  EXPECT_EQ(lines, "");
}

TEST(HeaderRules, AClientGetsNoFieldOfOursFromAnUpstream) {
  codec::Http1ResponseView head;
  add(head, "Content-Type", "application/json", Http1KnownField::kContentType);
  add(head, "Date", "today", Http1KnownField::kDate);
  add(head, "Server", "x", Http1KnownField::kServer);
  add(head, "Transfer-Encoding", "chunked", Http1KnownField::kTransferEncoding);
  add(head, "X-Flexpert-Secret", "1", Http1KnownField::kInternal);
  add(head, "X-RateLimit-Limit-Requests", "5");
  std::string lines;
  append_fields_for_client(lines, head, true);
  EXPECT_EQ(lines, "Content-Type: application/json\r\n");
  lines.clear();
  append_fields_for_client(lines, head, false);
  EXPECT_EQ(lines, "Content-Type: application/json\r\nX-RateLimit-Limit-Requests: 5\r\n");
}

}  // namespace
}  // namespace flexpert::gateway
