#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace flexpert::engine {

struct ChatMessage {
  std::string role;
  std::string content;
};

/// Renders messages into a prompt. Known forms are recognised from tokenizer_config.json's chat_template: plain ChatML
/// (the shipped model) and Qwen3's; another template is an error that says so.
class ChatTemplate {
 public:
  static Result<std::shared_ptr<const ChatTemplate>> open(const std::string& folder);
  virtual ~ChatTemplate() = default;
  /// Ends with the opening of the assistant's turn. Unknown roles are errors that name the message's index.
  [[nodiscard]] virtual Result<std::string> render(const std::vector<ChatMessage>& messages) const = 0;
};

}  // namespace flexpert::engine
