#include "flexpert/profile_probe.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "codec/json_text.h"
#include "http/client.h"
#include "net/event_loop.h"
#include "workload/answer_stream.h"

namespace flexpert::app {
namespace {

constexpr std::array<std::string_view, 24> kWords = {"river", "stone", "green", "window", "paper", "seven", "quiet", "engine", "garden", "copper", "winter", "letter",
                                                     "north", "bread", "silver", "planet", "carpet", "honest", "market", "yellow", "thunder", "simple", "kitchen", "motion"};

std::string prompt_of(std::uint32_t words, Rng& rng) {
  std::string prompt;
  for (std::uint32_t i = 0; i < words; ++i) {
    if (i > 0) prompt += ' ';
    prompt += kWords[rng.below(kWords.size())];
  }
  return prompt;
}

/// One streamed request under way.
struct Stream {
  workload::AnswerStream answer;
  std::vector<double> token_at_s;
  std::string error_body;
  int status = 0;
};

/// A round of requests on a loop of its own.
class Round {
 public:
  Round(const ProfileEngine& engine, std::uint32_t concurrency)
      : engine_(engine), client_(loop_, {.head_timeout = engine.timeout, .idle_timeout = engine.timeout, .max_idle_connections = concurrency}), streams_(concurrency) {}

  Result<std::vector<ProbeAnswer>> run(std::uint32_t words, std::uint32_t max_tokens, Rng& rng) {
    std::vector<std::string> bodies;
    for (std::size_t i = 0; i < streams_.size(); ++i) bodies.push_back(body_of(prompt_of(words, rng), max_tokens));
    start_ = clock_.now();
    left_ = streams_.size();
    for (std::size_t i = 0; i < streams_.size(); ++i) send(i, std::move(bodies[i]));
    loop_.run();
    if (failure_) return fail(*failure_);
    std::vector<ProbeAnswer> answers;
    for (Stream& stream : streams_) {
      FLEXPERT_ASSIGN(ProbeAnswer answer, judge(stream));
      answers.push_back(std::move(answer));
    }
    return answers;
  }

 private:
  [[nodiscard]] std::string body_of(const std::string& prompt, std::uint32_t max_tokens) const {
    std::string body = R"({"model":)";
    codec::append_json_string(body, engine_.model);
    body += R"(,"messages":[{"role":"user","content":)";
    codec::append_json_string(body, prompt);
    body += fmt::format(R"(}}],"max_tokens":{},"temperature":0,"ignore_eos":true,"stream":true,"stream_options":{{"include_usage":true}}}})", max_tokens);
    return body;
  }

  void send(std::size_t i, std::string body) {
    http::Request message{.method = "POST", .target = "/v1/chat/completions", .headers = {}, .body = std::move(body), .peer = {}};
    message.headers.add("Content-Type", "application/json");
    message.headers.add("Accept", "text/event-stream");
    client_.send(engine_.address, std::move(message),
                 {.on_head = [this, i](int status, const http::Headers&) { streams_[i].status = status; },
                  .on_body = [this, i](std::string_view bytes) { take(streams_[i], bytes); },
                  .on_end =
                      [this, i] {
                        // A token without text, such as the model's end, still took its time.
                        if (streams_[i].token_at_s.empty()) streams_[i].token_at_s.push_back(to_seconds(clock_.now() - start_));
                        ended();
                      },
                  .on_error = [this](const Error& error) {
                    if (!failure_) failure_ = error;
                    ended();
                  }});
  }

  void take(Stream& stream, std::string_view bytes) {
    if (stream.status != 200) {
      if (stream.error_body.size() < 1024) stream.error_body += bytes;
      return;
    }
    stream.answer.feed(bytes, [&](std::string_view) { stream.token_at_s.push_back(to_seconds(clock_.now() - start_)); });
  }

  void ended() {
    if (--left_ == 0) loop_.stop();
  }

  static Result<ProbeAnswer> judge(Stream& stream) {
    if (stream.status != 200) return fail(ErrorCode::kUnavailable, "the engine answers HTTP {}: {}", stream.status, stream.error_body.substr(0, 300));
    if (const std::string problem = stream.answer.problem(); !problem.empty()) return fail(ErrorCode::kDataLoss, "the engine's stream: {}", problem);
    if (!stream.answer.prompt_tokens())
      return fail(ErrorCode::kFailedPrecondition, "the engine does not report usage in streams (stream_options.include_usage), so prompts cannot be measured in tokens");
    return ProbeAnswer{.ttft_s = stream.token_at_s.front(),
                       .token_at_s = std::move(stream.token_at_s),
                       .prompt_tokens = *stream.answer.prompt_tokens(),
                       .completion_tokens = stream.answer.tokens()};
  }

  const ProfileEngine& engine_;
  SystemClock clock_;
  net::EventLoop loop_;
  http::Client client_;
  std::vector<Stream> streams_;
  TimePoint start_{};
  std::size_t left_ = 0;
  std::optional<Error> failure_;
};

}  // namespace

Result<std::vector<ProbeAnswer>> probe(const ProfileEngine& engine, std::uint32_t concurrency, std::uint32_t words, std::uint32_t max_tokens, Rng& rng) {
  return Round(engine, concurrency).run(words, max_tokens, rng);
}

Result<double> steady_itl_s(const std::vector<ProbeAnswer>& answers) {
  double begin = 0;
  double end = std::numeric_limits<double>::infinity();
  for (const ProbeAnswer& answer : answers) {
    begin = std::max(begin, answer.token_at_s.front());
    end = std::min(end, answer.token_at_s.back());
  }
  // A piece of text can hold several tokens: what an answer counts in all is spread over its pieces.
  double tokens = 0;
  for (const ProbeAnswer& answer : answers) {
    const auto inside = std::count_if(answer.token_at_s.begin(), answer.token_at_s.end(), [&](double at) { return at > begin && at <= end; });
    const double per_piece = static_cast<double>(answer.completion_tokens) / static_cast<double>(answer.token_at_s.size());
    tokens += static_cast<double>(inside) * std::max(1.0, per_piece);
  }
  const auto streams = static_cast<double>(answers.size());
  if (!(end > begin) || tokens < 2 * streams)
    return fail(ErrorCode::kFailedPrecondition, "the {} streams never decoded together for two tokens; raise --osl", answers.size());
  return streams * (end - begin) / tokens;
}

std::uint32_t TokensPerWord::words_for(double tokens) const { return static_cast<std::uint32_t>(std::max(1.0, std::round((tokens - fixed) / per_word))); }

Result<TokensPerWord> measure_tokens_per_word(const ProfileEngine& engine, Rng& rng) {
  constexpr std::uint32_t kFew = 8;
  constexpr std::uint32_t kMany = 40;
  FLEXPERT_ASSIGN(const auto few, probe(engine, 1, kFew, 1, rng));
  FLEXPERT_ASSIGN(const auto many, probe(engine, 1, kMany, 1, rng));
  const double per_word = (static_cast<double>(many[0].prompt_tokens) - static_cast<double>(few[0].prompt_tokens)) / (kMany - kFew);
  if (!(per_word > 0)) return fail(ErrorCode::kDataLoss, "the engine counts {} tokens for {} words and {} for {}", few[0].prompt_tokens, kFew, many[0].prompt_tokens, kMany);
  return TokensPerWord{per_word, static_cast<double>(few[0].prompt_tokens) - kFew * per_word};
}

}  // namespace flexpert::app
