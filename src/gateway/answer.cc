#include "gateway/answer.h"

#include <utility>

namespace flexpert::gateway {

Answer::~Answer() {
  if (sink_ != nullptr) respond(http::openai_error(500, "The gateway gave no answer", "server_error", {}, "internal_error"));
}

void Answer::respond(http::Response response) {
  if (Sink* const sink = std::exchange(sink_, nullptr); sink != nullptr) sink->answer(std::move(response));
}

void Answer::lose(bool tell) {
  sink_ = nullptr;
  if (auto callback = std::exchange(on_disconnect_, nullptr); callback && tell) callback();
}

}  // namespace flexpert::gateway
