#include "engine/serve/server_names.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>

#include "net/stream.h"

namespace flexpert::engine {
namespace {

namespace wire = expert_protocol;

/// One connection: hello, and the answer to it.
class Greeting final : public net::StreamHandler {
 public:
  void begin(net::EventLoop& loop, const net::Address& address, const wire::Hello& hello, Duration timeout) {
    auto stream = net::Stream::connect(loop, address, timeout, this);
    if (!stream) return end(fail(stream.error()));
    stream_ = std::move(*stream);
    wire::Bytes out;
    wire::encode(out, 1, hello);
    stream_->write({reinterpret_cast<const char*>(out.data()), out.size()});
  }
  void on_bytes(std::string_view bytes) override {
    std::memcpy(decoder_.space(bytes.size()).data(), bytes.data(), bytes.size());
    decoder_.received(bytes.size());
    const auto frame = decoder_.next();
    if (!frame) return end(fail(frame.error()));
    if (!*frame) return;
    if ((*frame)->type == wire::FrameType::kHelloReply) {
      const auto reply = wire::decode_hello_reply((*frame)->payload);
      return end(reply ? Result<std::string>(reply->instance) : fail(reply.error()));
    }
    const auto error = wire::decode_error((*frame)->payload);
    end(fail(error ? Error{error->code, error->text} : error.error()));
  }
  void on_closed(const Error* error) override {
    end(error != nullptr ? Result<std::string>(fail(*error)) : fail(ErrorCode::kUnavailable, "it closed the connection without a word"));
  }

  std::optional<Result<std::string>> name;

 private:
  void end(Result<std::string> result) {
    if (!name) name = std::move(result);
  }

  wire::FrameDecoder decoder_{wire::kMaxHelloPayload};
  std::unique_ptr<net::Stream> stream_;
};

}  // namespace

Result<std::vector<std::string>> names_of_servers(const std::vector<std::string>& addresses, const wire::Hello& hello, Duration timeout) {
  net::EventLoop loop;
  const SystemClock clock;
  const TimePoint end = clock.now() + timeout;
  std::vector<std::unique_ptr<Greeting>> greetings;
  for (const std::string& text : addresses) {
    FLEXPERT_ASSIGN(const net::Address address, net::Address::parse(text));
    greetings.push_back(std::make_unique<Greeting>());
    greetings.back()->begin(loop, address, hello, timeout);
  }
  const auto waits = [](const auto& greeting) { return !greeting->name; };
  for (TimePoint now = clock.now(); now < end && std::any_of(greetings.begin(), greetings.end(), waits); now = clock.now()) loop.run_once(end - now);
  std::vector<std::string> names;
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    if (!greetings[i]->name)
      return fail(ErrorCode::kDeadlineExceeded, "--expert-servers: no answer within {:.0f} s from {}", to_seconds(timeout), addresses[i]);
    if (!*greetings[i]->name)
      return fail(greetings[i]->name->error().with_context(fmt::format("--expert-servers: {} (is a `flexpert expert` running there?)", addresses[i])));
    std::string name = **greetings[i]->name;
    if (name.empty()) name = addresses[i];
    if (const auto same = std::find(names.begin(), names.end(), name); same != names.end())
      return fail(ErrorCode::kInvalidArgument, "--expert-servers: {} and {} both call themselves {}; give each its own `flexpert expert --id`",
                  addresses[static_cast<std::size_t>(same - names.begin())], addresses[i], name);
    names.push_back(std::move(name));
  }
  return names;
}

}  // namespace flexpert::engine
