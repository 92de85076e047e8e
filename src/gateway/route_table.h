#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace flexpert::gateway {

/// Where a path is served: each listener knows its own paths only.
enum class Listener : std::uint8_t { kApi, kProbes, kAdmin };

/// Who may call a path.
enum class AuthClass : std::uint8_t {
  kCaller,  ///< whoever the Authenticator lets in; what he may use is asked for each model and group of experts
  kAdmin,   ///< a caller with a right on the gateway itself
  kPool,    ///< an engine that knows the pool's secret
  kProbe,   ///< whoever reaches the listener, which is not the clients'
};

enum class Endpoint : std::uint8_t { kChat, kCompletions, kEmbeddings, kTokenize, kModels, kOneModel, kRoute, kHealth, kReady, kMetrics, kRegister, kAdmin };

struct RouteEntry {
  std::string_view path;     ///< metrics and logs are labelled by it, never by a client's text
  std::string_view methods;  ///< as the Allow field has them
  Listener listener = Listener::kApi;
  AuthClass auth = AuthClass::kCaller;
  Endpoint endpoint = Endpoint::kChat;
};

/// Every path of the gateway.
inline constexpr std::array kRouteTable{
    RouteEntry{"/v1/chat/completions", "POST, OPTIONS", Listener::kApi, AuthClass::kCaller, Endpoint::kChat},
    RouteEntry{"/v1/completions", "POST, OPTIONS", Listener::kApi, AuthClass::kCaller, Endpoint::kCompletions},
    RouteEntry{"/v1/embeddings", "POST, OPTIONS", Listener::kApi, AuthClass::kCaller, Endpoint::kEmbeddings},
    RouteEntry{"/tokenize", "POST, OPTIONS", Listener::kApi, AuthClass::kCaller, Endpoint::kTokenize},
    RouteEntry{"/v1/models", "GET, HEAD, OPTIONS", Listener::kApi, AuthClass::kCaller, Endpoint::kModels},
    RouteEntry{"/v1/models/{model}", "GET, HEAD, OPTIONS", Listener::kApi, AuthClass::kCaller, Endpoint::kOneModel},
    RouteEntry{"/route", "POST, OPTIONS", Listener::kApi, AuthClass::kCaller, Endpoint::kRoute},
    RouteEntry{"/health", "GET, HEAD", Listener::kProbes, AuthClass::kProbe, Endpoint::kHealth},
    RouteEntry{"/ready", "GET, HEAD", Listener::kProbes, AuthClass::kProbe, Endpoint::kReady},
    RouteEntry{"/metrics", "GET, HEAD", Listener::kProbes, AuthClass::kProbe, Endpoint::kMetrics},
    RouteEntry{"/internal/register", "GET, POST, DELETE", Listener::kAdmin, AuthClass::kPool, Endpoint::kRegister},
    RouteEntry{"/admin/{call}", "GET, HEAD, POST, PUT, DELETE", Listener::kAdmin, AuthClass::kAdmin, Endpoint::kAdmin},
};
/// The label of paths that are not in the table.
inline constexpr std::string_view kOtherPath = "other";

/// Returns the entry of a request's path (without its query) on a listener; null if that listener has none.
const RouteEntry* find_route(Listener listener, std::string_view path);
/// Tells whether an entry takes a method.
bool takes(const RouteEntry& entry, std::string_view method);

}  // namespace flexpert::gateway
