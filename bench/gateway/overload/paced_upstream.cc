#include "overload/paced_upstream.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <deque>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "http/server.h"
#include "net/event_loop.h"
#include "rig/sockets.h"

namespace flexpert::bench {
namespace {

std::uint64_t number_after(std::string_view text, std::string_view key, std::uint64_t otherwise) {
  const std::size_t at = text.find(key);
  if (at == std::string_view::npos) return otherwise;
  std::uint64_t value = otherwise;
  std::from_chars(text.data() + at + key.size(), text.data() + text.size(), value);
  return value;
}

/// One engine.
class Engine {
 public:
  Engine(net::EventLoop& loop, PacedEngine pace)
      : loop_(loop),
        pace_(pace),
        server_(loop, {}, [this](http::Request request, http::Responder responder) { take(std::move(request), std::move(responder)); }) {}

  Result<void> listen_on(int fd) {
    FLEXPERT_TRY(server_.listen_on(net::UniqueFd(fd)));
    return {};
  }

 private:
  struct Answer {
    explicit Answer(http::Responder the_responder) : responder(std::move(the_responder)) {}
    http::Responder responder;
    std::uint64_t tokens = 0;
    std::uint64_t sent = 0;
    std::uint64_t prompt_tokens = 0;
    bool usage = false;
    bool running = false;
    bool gone = false;
  };
  using AnswerPtr = std::shared_ptr<Answer>;

  void take(http::Request request, http::Responder responder) {
    if (request.path() == "/v1/models")
      return responder.respond(http::json_response(200, R"({"object":"list","data":[{"id":"m","object":"model"}]})"));
    if (request.path() != "/v1/chat/completions") return responder.respond(http::json_response(200, "{}"));
    auto answer = std::make_shared<Answer>(std::move(responder));
    answer->tokens = std::max<std::uint64_t>(1, number_after(request.body, "\"max_tokens\":", 16));
    answer->prompt_tokens = request.body.size() / 4;
    answer->usage = request.body.find("\"include_usage\":true") != std::string::npos;
    answer->responder.on_disconnect([this, weak = std::weak_ptr(answer)] {
      if (const AnswerPtr lost = weak.lock()) lose(*lost);
    });
    if (answer->gone) return;
    waiting_.push_back(std::move(answer));
    start_next();
  }

  void start_next() {
    while (running_ < pace_.slots && !waiting_.empty()) {
      const AnswerPtr answer = std::move(waiting_.front());
      waiting_.pop_front();
      if (answer->gone) continue;
      answer->running = true;
      ++running_;
      loop_.call_after(pace_.first_token, [this, answer] { emit(answer); });
    }
  }

  void emit(const AnswerPtr& answer) {
    if (answer->gone) return;
    if (answer->sent == 0) {
      http::Headers headers;
      headers.set("Content-Type", "text/event-stream");
      answer->responder.start(200, std::move(headers));
    }
    ++answer->sent;
    answer->responder.write(
        R"(data: {"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":"word "},"finish_reason":null}]})"
        "\n\n");
    if (answer->sent < answer->tokens) {
      loop_.call_after(pace_.token, [this, answer] { emit(answer); });
      return;
    }
    std::string end =
        R"(data: {"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"length"}]})"
        "\n\n";
    if (answer->usage)
      end += fmt::format(
          R"(data: {{"id":"c","object":"chat.completion.chunk","model":"m","choices":[],"usage":{{"prompt_tokens":{0},"completion_tokens":{1},)"
          R"("total_tokens":{2}}}}})"
          "\n\n",
          answer->prompt_tokens, answer->tokens, answer->prompt_tokens + answer->tokens);
    answer->responder.write(end + "data: [DONE]\n\n");
    answer->gone = true;
    answer->responder.finish();
    free_slot();
  }

  void lose(Answer& answer) {
    if (std::exchange(answer.gone, true)) return;
    if (answer.running) free_slot();
  }

  void free_slot() {
    --running_;
    start_next();
  }

  net::EventLoop& loop_;
  PacedEngine pace_;
  std::deque<AnswerPtr> waiting_;
  std::uint32_t running_ = 0;
  http::Server server_;
};

[[noreturn]] void run_engines(const std::vector<int>& listening, PacedEngine pace) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  net::EventLoop loop;
  std::vector<std::unique_ptr<Engine>> engines;
  for (const int fd : listening) {
    engines.push_back(std::make_unique<Engine>(loop, pace));
    if (const auto listens = engines.back()->listen_on(fd); !listens) {
      std::fprintf(stderr, "paced upstream: %s\n", listens.error().message.c_str());
      ::_exit(1);
    }
  }
  loop.run();
  ::_exit(0);
}

}  // namespace

Result<std::unique_ptr<PacedUpstreams>> PacedUpstreams::start(std::size_t count, PacedEngine engine) {
  std::unique_ptr<PacedUpstreams> upstreams(new PacedUpstreams);
  std::vector<int> listening;
  for (std::size_t i = 0; i < count; ++i) {
    listening.push_back(listen_locally(0));
    if (listening.back() < 0) return fail(ErrorCode::kResourceExhausted, "no port for a paced upstream");
    upstreams->ports_.push_back(port_of(listening.back()));
  }
  upstreams->pid_ = ::fork();
  if (upstreams->pid_ == 0) run_engines(listening, engine);
  for (const int fd : listening) ::close(fd);
  if (upstreams->pid_ < 0) return fail(ErrorCode::kResourceExhausted, "no process for the paced upstreams");
  return upstreams;
}

PacedUpstreams::~PacedUpstreams() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

}  // namespace flexpert::bench
