#include "gateway/admin_listener.h"

#include <string>
#include <utility>

#include "codec/http1.h"
#include "gateway/message_of.h"
#include "gateway/refusals.h"
#include "gateway/route_table.h"

namespace flexpert::gateway {
namespace {

constexpr std::size_t kMostConnections = 64;

Refusal no_right() {
  return {.status = 403, .message = "This needs a right on the gateway itself, which you do not have", .type = "permission_error", .code = "admin_forbidden"};
}

}  // namespace

/// One call, from its authentication to its answer.
class AdminListener::Call final : public http::InboundListener, public Answer::Sink {
 public:
  Call(AdminListener& listener, http::InboundExchange& exchange) : listener_(listener), exchange_(&exchange) { exchange.set_listener(this); }
  ~Call() override {
    if (answer_ != nullptr) answer_->lose(false);
  }

  void run() {
    route_ = find_route(Listener::kAdmin, exchange_->head().path());
    if (route_ == nullptr) return refuse(no_such_path(exchange_->head().path()));
    if (!takes(*route_, exchange_->head().method)) return refuse(wrong_method(route_->path, route_->methods));
    if (route_->endpoint == Endpoint::kRegister) return give_to_registration();
    auto verdict = listener_.authenticator_.authenticate(exchange_->head(), [this](AuthResult later) { take_verdict(std::move(later)); });
    if (auto* pending = std::get_if<std::unique_ptr<Authenticator::Pending>>(&verdict)) pending_ = std::move(*pending);
    else take_verdict(std::move(std::get<AuthResult>(verdict)));
  }

  void on_client_gone() override {
    exchange_ = nullptr;
    if (Answer* const answer = std::exchange(answer_, nullptr); answer != nullptr) answer->lose(true);
    listener_.metrics_.count_request(route_, kClientGone);
    listener_.over(*this);
  }
  void answer(http::Response response) override {
    answer_ = nullptr;
    std::string fields;
    for (const auto& [name, value] : response.headers.fields()) codec::append_http1_field(fields, name, value);
    finish(response.status, fields, response.body);
  }

 private:
  void give_to_registration() {
    constexpr std::string_view kScheme = "Bearer ";
    const std::string_view shown = exchange_->head().find(codec::Http1KnownField::kAuthorization);
    auto made = std::make_unique<Answer>(static_cast<Answer::Sink&>(*this));
    answer_ = made.get();
    listener_.registration_.handle(exchange_->head().method, exchange_->body(), shown.starts_with(kScheme) ? shown.substr(kScheme.size()) : std::string_view(),
                                   [answer = std::move(made)](EngineRegistration::Answer said) { answer->respond(http::json_response(said.status, std::move(said.body))); });
  }
  void take_verdict(AuthResult verdict) {
    if (const Refusal* refusal = std::get_if<Refusal>(&verdict)) {
      listener_.metrics_.count_authentication_failure();
      return refuse(*refusal);
    }
    const CallerPtr& caller = std::get<CallerPtr>(verdict);
    if (caller->grant->admin == 0 || caller->identity.credential == auth::Credential::kNone) return refuse(no_right());
    if (listener_.routes_ == nullptr) return refuse(no_such_path(exchange_->head().path()));
    auto made = std::make_unique<Answer>(static_cast<Answer::Sink&>(*this));
    answer_ = made.get();
    listener_.routes_->handle(message_of(*exchange_), caller, std::move(made));
  }
  void refuse(const Refusal& refusal) {
    std::string fields;
    append_refusal_fields(fields, refusal);
    if (refusal.status == 405) codec::append_http1_field(fields, "Allow", route_->methods);
    finish(refusal.status, fields, refusal_body(refusal));
  }
  void finish(int status, std::string_view fields, std::string_view body) {
    listener_.metrics_.count_request(route_, status);
    std::exchange(exchange_, nullptr)->respond(status, fields, body);
    listener_.over(*this);
  }

  AdminListener& listener_;
  http::InboundExchange* exchange_;
  const RouteEntry* route_ = nullptr;
  std::unique_ptr<Authenticator::Pending> pending_;
  Answer* answer_ = nullptr;
};

AdminListener::AdminListener(net::EventLoop& loop, Authenticator& authenticator, GatewayMetrics& metrics, EngineRegistration& registration, AdminRoutes* routes)
    : authenticator_(authenticator), metrics_(metrics), registration_(registration), routes_(routes), loop_(loop), inbound_(loop, {.max_connections = kMostConnections}, *this) {}

AdminListener::~AdminListener() = default;

void AdminListener::on_request(http::InboundExchange& exchange) {
  auto call = std::make_unique<Call>(*this, exchange);
  Call& made = *call;
  calls_.emplace(&made, std::move(call));
  made.run();
}

/// Its own functions may still be running.
void AdminListener::over(Call& call) {
  auto node = calls_.extract(&call);
  if (!node.empty()) loop_.bury(std::move(node.mapped()));
}

}  // namespace flexpert::gateway
