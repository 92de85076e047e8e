// Generates greedy tokens for chats with our engine (in-process experts), for comparison with another engine.
// usage: flexpert_greedy MODEL_DIR TOKENS < JSON list of chats (lists of {role, content}) > JSON list of {prompt, tokens}
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <iostream>
#include <iterator>
#include <string>

#include <boost/json.hpp>

#include "engine/expert/remote_experts.h"
#include "engine/model/engine.h"
#include "engine/tokenizer/chat_template.h"

namespace flexpert::engine {
namespace {

namespace json = boost::json;

/// Hands a request's tokens to a waiting thread.
class CollectingSink final : public GenerationSink {
 public:
  explicit CollectingSink(std::promise<Result<std::vector<TokenId>>> done) : done_(std::move(done)) {}
  void on_token(const GeneratedToken& token) override { tokens_.push_back(token.token); }
  void on_finish(FinishReason reason, std::string, GenerationUsage, const std::optional<Error>& error) override {
    if (error) {
      done_.set_value(fail(*error));
    } else if (reason != FinishReason::kLength) {
      done_.set_value(fail(ErrorCode::kInternal, "generation ended before its length: {} tokens", tokens_.size()));
    } else {
      done_.set_value(std::move(tokens_));
    }
  }

 private:
  std::promise<Result<std::vector<TokenId>>> done_;
  std::vector<TokenId> tokens_;
};

/// A folder that is removed in the end.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "flexpert-oracle-XXXXXX").string();
    if (::mkdtemp(name.data()) != nullptr) path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

Result<json::array> generate(const std::string& folder, std::uint32_t tokens, const json::array& chats) {
  FLEXPERT_ASSIGN(const auto checkpoint, Checkpoint::open(folder));
  FLEXPERT_ASSIGN(const auto tokenizer, Tokenizer::open(folder));
  FLEXPERT_ASSIGN(const auto chat_template, ChatTemplate::open(folder));
  const TemporaryFolder temporary;
  if (temporary.path().empty()) return fail(ErrorCode::kUnavailable, "cannot make a temporary folder");
  const std::string pack_path = temporary.path() + "/experts.pack";
  FLEXPERT_TRY(write_pack(*checkpoint, pack_path, [](std::size_t, std::size_t) {}));
  FLEXPERT_ASSIGN(const auto pack, PackFile::open(pack_path));
  ComputePool pool(1);
  LocalExperts experts(pack, pool);
  telemetry::Registry metrics;
  const SystemClock clock;
  FLEXPERT_ASSIGN(const auto engine, Engine::start(checkpoint, tokenizer, experts, EngineOptions{}, metrics, clock));

  // All at once: what a request gets may not depend on what else is in its batch.
  std::vector<std::vector<TokenId>> prompts;
  std::vector<std::future<Result<std::vector<TokenId>>>> answers;
  for (const json::value& chat : chats) {
    std::vector<ChatMessage> messages;
    for (const json::value& message : chat.as_array())
      messages.push_back({json::value_to<std::string>(message.at("role")), json::value_to<std::string>(message.at("content"))});
    FLEXPERT_ASSIGN(const std::string prompt, chat_template->render(messages));
    prompts.push_back(tokenizer->encode(prompt));
    GenerationRequest request;
    request.id = fmt::format("chat-{}", prompts.size());
    request.prompt = prompts.back();
    request.max_tokens = tokens;
    request.sampling.temperature = 0;
    request.ignore_eos = true;
    std::promise<Result<std::vector<TokenId>>> done;
    answers.push_back(done.get_future());
    FLEXPERT_TRY(engine->submit(std::move(request), std::make_unique<CollectingSink>(std::move(done))));
  }
  json::array all;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    FLEXPERT_ASSIGN(const std::vector<TokenId> ids, answers[i].get());
    all.push_back(json::object{{"prompt", json::array(prompts[i].begin(), prompts[i].end())}, {"tokens", json::array(ids.begin(), ids.end())}});
  }
  return all;
}

}  // namespace
}  // namespace flexpert::engine

int main(int argc, char** argv) {
  const int tokens = argc == 3 ? std::atoi(argv[2]) : 0;
  if (tokens <= 0) {
    std::fprintf(stderr, "usage: flexpert_greedy MODEL_DIR TOKENS < chats.json\n");
    return 2;
  }
  try {
    const std::string input((std::istreambuf_iterator<char>(std::cin)), std::istreambuf_iterator<char>());
    const boost::json::value chats = boost::json::parse(input);
    const auto all = flexpert::engine::generate(argv[1], static_cast<std::uint32_t>(tokens), chats.as_array());
    if (all) {
      std::cout << boost::json::serialize(*all) << '\n';
      return 0;
    }
    std::fprintf(stderr, "flexpert_greedy: %s\n", all.error().message.c_str());
  } catch (const std::exception& error) {  // Boost.JSON
    std::fprintf(stderr, "flexpert_greedy: standard input has not the expected form: %s\n", error.what());
  }
  return 1;
}
