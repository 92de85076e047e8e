#pragma once

#include <string>
#include <vector>

#include "codec/openai_answer.h"
#include "engine/serve/reply.h"
#include "engine/serve/token_outbox.h"
#include "engine/tokenizer/tokenizer.h"

namespace flexpert::engine {

struct GenerationOptions {
  bool stream = false;
  bool include_usage = false;
  bool logprobs = false;
  bool ignore_eos = false;
};

/// One request between its submission and its answer's end: turns tokens into an OpenAI answer, whole or streamed.
/// A stream's head is sent with its first token, so that a failure before it still is a plain HTTP error.
/// Belongs to the loop's thread.
class Generation {
 public:
  /// `tokenizer` and `eos` must outlive it.
  Generation(std::string id, Reply reply, const codec::AnswerHead& head, GenerationOptions options, const Tokenizer& tokenizer,
             const std::vector<TokenId>& eos);

  void on_token(const GeneratedToken& token);
  void on_end(const GenerationEnd& end);
  /// Sends what came since the last flush.
  void flush();
  /// Ends the answer without a result.
  void fail(const codec::ApiError& error);
  void abort() { reply_.abort(); }
  /// The engine's name of the request.
  [[nodiscard]] const std::string& id() const { return id_; }

 private:
  void add_text(std::string_view text);
  void begin_stream();

  std::string id_;
  Reply reply_;
  codec::AnswerWriter writer_;
  codec::ApiForm form_;
  GenerationOptions options_;
  const Tokenizer& tokenizer_;
  const std::vector<TokenId>& eos_;
  std::string text_;    // whole answers
  std::string events_;  // streams: not yet written
  std::vector<codec::ApiTokenLogprob> logprobs_;  // whole answers: all; streams: not yet in an event
};

}  // namespace flexpert::engine
