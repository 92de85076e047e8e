#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "gateway/admission.h"
#include "gateway/answer.h"
#include "gateway/body_splice.h"
#include "gateway/caller.h"
#include "gateway/load_report.h"
#include "gateway/request_id.h"
#include "gateway/request_scan.h"
#include "gateway/request_trace.h"
#include "gateway/response_caching.h"
#include "gateway/route_table.h"
#include "gateway/server_directory.h"
#include "gateway/stream_tail.h"
#include "http/inbound.h"
#include "http/outbound.h"
#include "net/event_loop.h"

namespace flexpert::gateway {

class Relay;

/// One client's request from its head to the last byte of its answer, with the attempts that it takes: arrival
/// (exchange.cc), the cache (exchange_cache.cc), attempts on servers (exchange_attempt.cc), their answers (exchange_answer.cc), the end (exchange_end.cc) and its records (exchange_log.cc). Belongs
/// to a Relay, which keeps it for the next request. On the loop's thread.
class Exchange final : public http::InboundListener, public http::OutboundListener, private Answer::Sink {
 public:
  explicit Exchange(Relay& relay) : relay_(relay) {}
  ~Exchange() override;
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  /// The client's head is there. Refuses what needs no body for that.
  void begin(http::InboundExchange& client);
  /// The request is whole.
  void take_request();
  /// Servers came or changed: tries again if it waits for one.
  void look_again();
  /// Sends a comment on a stream that has been silent for `heartbeat` and has no event open.
  void beat(TimePoint now, Duration heartbeat);
  /// Gives everything back without a word to the client: the gateway goes.
  void drop();
  [[nodiscard]] const http::InboundExchange* client() const { return client_; }
  /// Tells whether the request's body is still to come.
  [[nodiscard]] bool awaits_body() const { return active_ && !whole_; }
  [[nodiscard]] bool active() const { return active_; }

  // What the client's side tells:
  void on_client_gone() override;
  void on_writable() override;
  // What the server's side tells:
  void on_head(const codec::Http1ResponseView& head) override;
  void on_body(std::string_view piece) override;
  void on_end() override;
  void on_error(http::OutboundFailure failure, const Error& error) override;

  Exchange* next = nullptr;      ///< of the relay's lists
  Exchange* previous = nullptr;

 private:
  // exchange.cc
  void take_verdict(AuthResult verdict);
  void proceed();
  void answer_models();
  void give_to_route_handler();
  void take_generation();
  /// What is done to a request before it is looked at further.
  struct Changes {
    std::uint64_t cap_max_tokens = 0;   ///< that was put in; 0 = none
    bool even_stale = false;            ///< the ladder answers from the cache
  };
  /// Changes what the tenant's limits and the ladder say.
  Changes change();
  void note_degradation(std::string_view steps);
  void ask_for_admission();
  void take_admission(Admission::Outcome outcome);
  /// Tokens that the answer may have; 0 where no tokens are generated.
  [[nodiscard]] std::uint64_t answer_tokens() const;

  // exchange_cache.cc
  void look_in_cache(const Changes& changes);
  void take_lead(std::unique_ptr<ResponseCaching::Lead> lead);
  void take_told(ResponseCaching::Told told);
  void answer_from(const routing::CachedAnswer& cached, bool by_ladder);

  // exchange_attempt.cc
  void attempt();
  ServerPick pick(ModelPool& pool);
  void wait_or_refuse();
  void send(const ModelServer& server);
  Result<void> make_head(const ModelServer& server, std::span<const std::string_view> body);
  /// Tells whether another attempt may be made, and takes it out of the budget.
  bool may_retry(std::string_view reason);
  /// What became of the attempt counts for or against its server.
  void report(bool failed);
  void let_server_go();

  // exchange_answer.cc
  void begin_answer(std::string_view first_piece);
  bool refused_and_another_may_take_it();
  void give_up_for_nobody();
  void break_stream(std::string_view why);

  // exchange_end.cc
  void refuse(const Refusal& refusal);
  void respond(int status, std::string_view fields, std::string_view body);
  void answer(http::Response response) override;
  void append_own_fields(std::string& lines);
  void end(std::string_view outcome);
  void count_tokens();
  void give_back();

  // exchange_log.cc
  void write_access(std::string_view outcome);
  void audit(std::string_view event, std::string_view object, std::string_view reason);

  Relay& relay_;
  http::InboundExchange* client_ = nullptr;
  const RouteEntry* route_ = nullptr;   ///< null: a path that is not ours
  TimePoint arrived_{};
  bool active_ = false;
  bool whole_ = false;                  ///< the body is there
  bool waiting_ = false;                ///< for a server
  bool answering_ = false;              ///< the head of a server's answer has come
  bool abandoned_ = false;              ///< the client has gone, and others wait for the answer
  bool streaming_ = false;              ///< the answer is an event stream
  bool until_close_ = false;            ///< and nothing but the connection's end marks its end
  bool started_ = false;                ///< something of the answer went to the client
  bool answered_whole_ = false;         ///< all of it did, before the server's end was heard
  bool paused_ = false;                 ///< the server waits for the client to take what there is
  bool own_rate_limits_ = false;        ///< the answer has x-ratelimit-* fields of ours
  const auth::ModelRight* right_ = nullptr;  ///< of the caller on the model; as long as caller_
  std::uint8_t attempts_ = 0;
  int status_ = 0;                      ///< that the client got
  std::string_view method_{};           ///< a text of our own
  std::string_view reason_{};           ///< code of a refusal or failure
  RequestId id_;
  std::string peer_;
  RequestTrace trace_;
  CallerPtr caller_;
  std::unique_ptr<Authenticator::Pending> verdict_;
  std::unique_ptr<Admission::Waiting> queued_;
  std::unique_ptr<Admitted> admitted_;
  std::unique_ptr<ResponseCaching::Following> following_;
  std::unique_ptr<ResponseCaching::Lead> lead_;  ///< others may wait for this answer
  std::string_view cache_field_{};      ///< of the answer
  std::uint64_t prompt_tokens_ = 0;     ///< what the request has cost its tenant, measured where the server told
  std::uint64_t completion_tokens_ = 0;
  Answer* local_ = nullptr;             ///< of a call that the gateway carries out itself

  ScannedRequest fields_;
  std::unique_ptr<BodySplice> splice_;  ///< where something was changed
  bool capped_ = false;                 ///< by the ladder
  bool moved_ = false;                  ///< to a smaller model, by the ladder
  std::string_view degraded_{};
  std::optional<RequestLoad> load_;

  // Of the current attempt:
  routing::LoadTicket ticket_;
  http::OutboundRequest* sent_ = nullptr;
  std::string_view body_{};
  std::string head_;                    ///< what is sent to the server, then the fields of the client's answer
  std::optional<std::uint64_t> content_length_;
  StreamTail tail_;
  TimePoint first_piece_{};
  TimePoint last_piece_{};
  TimePoint last_beat_{};
  std::uint64_t sent_bytes_ = 0;
  std::uint64_t request_bytes_ = 0;
  std::vector<const routing::Endpoint*> failed_on_;
  TimePoint wait_until_{};
  net::TimerId timer_ = 0;
};

}  // namespace flexpert::gateway
