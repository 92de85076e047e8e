#include "gateway/route_table.h"

#include <set>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace flexpert::gateway {
namespace {

std::string text_of(const RouteEntry& entry) {
  constexpr std::string_view kListeners[] = {"api", "probes", "admin"};
  constexpr std::string_view kClasses[] = {"caller", "admin", "pool", "probe"};
  return fmt::format("{} {} [{}] {}", kListeners[static_cast<int>(entry.listener)], kClasses[static_cast<int>(entry.auth)], entry.methods, entry.path);
}

/// Whoever adds a path says here where it is served and who may call it.
TEST(RouteTable, EveryPathWithItsListenerAndWhoMayCallIt) {
  std::set<std::string> listed;
  for (const RouteEntry& entry : kRouteTable) listed.insert(text_of(entry));
  const std::set<std::string> expected{
      "api caller [POST, OPTIONS] /v1/chat/completions",
      "api caller [POST, OPTIONS] /v1/completions",
      "api caller [POST, OPTIONS] /v1/embeddings",
      "api caller [POST, OPTIONS] /tokenize",
      "api caller [GET, HEAD, OPTIONS] /v1/models",
      "api caller [GET, HEAD, OPTIONS] /v1/models/{model}",
      "api caller [POST, OPTIONS] /route",
      "probes probe [GET, HEAD] /health",
      "probes probe [GET, HEAD] /ready",
      "probes probe [GET, HEAD] /metrics",
      "admin pool [GET, POST, DELETE] /internal/register",
      "admin admin [GET, HEAD, POST, PUT, DELETE] /admin/{call}",
  };
  EXPECT_EQ(listed, expected);
  EXPECT_EQ(listed.size(), kRouteTable.size());
}

TEST(RouteTable, NothingOfTheApiIsFreeForAllAndNoProbeIsOnItsListener) {
  for (const RouteEntry& entry : kRouteTable) {
    EXPECT_EQ(entry.listener == Listener::kApi, entry.auth == AuthClass::kCaller) << entry.path;
    EXPECT_EQ(entry.listener == Listener::kProbes, entry.auth == AuthClass::kProbe) << entry.path;
    EXPECT_EQ(entry.listener == Listener::kAdmin, entry.auth == AuthClass::kAdmin || entry.auth == AuthClass::kPool) << entry.path;
  }
}

TEST(RouteTable, EachListenerKnowsItsOwnPathsOnly) {
  EXPECT_EQ(find_route(Listener::kApi, "/metrics"), nullptr);
  EXPECT_EQ(find_route(Listener::kApi, "/admin/keys"), nullptr);
  EXPECT_EQ(find_route(Listener::kProbes, "/v1/models"), nullptr);
  EXPECT_EQ(find_route(Listener::kAdmin, "/v1/models"), nullptr);
  ASSERT_NE(find_route(Listener::kAdmin, "/admin/keys"), nullptr);
  ASSERT_NE(find_route(Listener::kProbes, "/metrics"), nullptr);
}

TEST(RouteTable, PathsAreExactButForThoseThatCarryAName) {
  EXPECT_EQ(find_route(Listener::kApi, "/v1/chat/completions/"), nullptr);
  EXPECT_EQ(find_route(Listener::kApi, "/V1/chat/completions"), nullptr);
  EXPECT_EQ(find_route(Listener::kApi, "//v1/chat/completions"), nullptr);
  EXPECT_EQ(find_route(Listener::kApi, "/v1/%63hat/completions"), nullptr);
  EXPECT_EQ(find_route(Listener::kApi, "/internal/experts"), nullptr);
  EXPECT_EQ(find_route(Listener::kAdmin, "/admin/"), nullptr);
  ASSERT_NE(find_route(Listener::kApi, "/v1/models/org%2Fname"), nullptr);
  EXPECT_EQ(find_route(Listener::kApi, "/v1/models/org%2Fname")->endpoint, Endpoint::kOneModel);
}

TEST(RouteTable, MethodsAreThoseThatAllowNames) {
  const RouteEntry& models = *find_route(Listener::kApi, "/v1/models");
  EXPECT_TRUE(takes(models, "GET") && takes(models, "HEAD") && takes(models, "OPTIONS"));
  EXPECT_FALSE(takes(models, "POST") || takes(models, "GE") || takes(models, ""));
}

}  // namespace
}  // namespace flexpert::gateway
