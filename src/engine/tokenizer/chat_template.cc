#include "engine/tokenizer/chat_template.h"

#include <array>
#include <optional>
#include <span>
#include <string_view>

#include <boost/json.hpp>

#include "engine/tokenizer/model_folder.h"

namespace flexpert::engine {
namespace {

namespace json = boost::json;

constexpr std::size_t kMaxTemplateBytes = 64U << 20;

/// Plain ChatML as different publishers write it.
constexpr std::array<std::string_view, 3> kChatMl = {
    R"({% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %})",
    R"({% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %})",
    R"({% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %})",
};

/// The lines of Qwen3's template that decide what text messages become, in their order. Its editions differ elsewhere.
constexpr std::array<std::string_view, 9> kQwen3 = {
    R"(messages[0].role == 'system')",
    R"('<|im_start|>system\n' + messages[0].content + '<|im_end|>\n')",
    R"(last_query_index=messages|length - 1)",
    R"('</think>')",
    R"(.split('</think>')[-1].lstrip('\n'))",
    R"(loop.index0 > ns.last_query_index)",
    R"('<|im_start|>' + message.role + '\n<think>\n' + reasoning_content.strip('\n') + '\n</think>\n\n' + content.lstrip('\n'))",
    R"('<|im_start|>assistant\n')",
    R"(enable_thinking is defined and enable_thinking is false)",
};

bool has_in_order(std::string_view text, std::span<const std::string_view> parts) {
  std::size_t at = 0;
  for (const std::string_view part : parts) {
    at = text.find(part, at);
    if (at == std::string_view::npos) return false;
    at += part.size();
  }
  return true;
}

std::string_view without_leading_newlines(std::string_view text) {
  const std::size_t at = text.find_first_not_of('\n');
  return at == std::string_view::npos ? std::string_view() : text.substr(at);
}

std::string_view without_trailing_newlines(std::string_view text) {
  const std::size_t last = text.find_last_not_of('\n');
  return last == std::string_view::npos ? std::string_view() : text.substr(0, last + 1);
}

void append_turn(std::string& prompt, std::string_view role, std::string_view content) {
  prompt += fmt::format("<|im_start|>{}\n{}<|im_end|>\n", role, content);
}

Result<void> check_roles(const std::vector<ChatMessage>& messages) {
  if (messages.empty()) return fail(ErrorCode::kInvalidArgument, "there must be at least one message");
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const std::string& role = messages[i].role;
    if (role == "tool" || role == "function")
      return fail(ErrorCode::kInvalidArgument, "tool messages are not supported yet: messages[{}] has the role {}", i, role);
    if (role != "system" && role != "user" && role != "assistant")
      return fail(ErrorCode::kInvalidArgument, "unknown role (system, user and assistant are known): messages[{}] has the role {}", i, role);
  }
  return {};
}

class ChatMlTemplate final : public ChatTemplate {
 public:
  [[nodiscard]] Result<std::string> render(const std::vector<ChatMessage>& messages) const override {
    FLEXPERT_TRY(check_roles(messages));
    std::string prompt;
    for (const ChatMessage& message : messages) append_turn(prompt, message.role, message.content);
    return prompt + "<|im_start|>assistant\n";
  }
};

/// Qwen3, without tools and with enable_thinking as by default: the thinking of earlier assistant turns is left out.
class Qwen3Template final : public ChatTemplate {
 public:
  [[nodiscard]] Result<std::string> render(const std::vector<ChatMessage>& messages) const override {
    FLEXPERT_TRY(check_roles(messages));
    std::size_t last_query = messages.size() - 1;
    for (std::size_t i = messages.size(); i-- > 0;) {
      const std::string_view content = messages[i].content;
      if (messages[i].role != "user" || (content.starts_with("<tool_response>") && content.ends_with("</tool_response>"))) continue;
      last_query = i;
      break;
    }
    std::string prompt;
    for (std::size_t i = 0; i < messages.size(); ++i) {
      if (messages[i].role == "assistant") {
        append_assistant(prompt, messages[i].content, i > last_query, i + 1 == messages.size());
      } else {
        append_turn(prompt, messages[i].role, messages[i].content);
      }
    }
    return prompt + "<|im_start|>assistant\n";
  }

 private:
  static void append_assistant(std::string& prompt, std::string_view content, bool after_query, bool last) {
    constexpr std::string_view kOpen = "<think>";
    constexpr std::string_view kClose = "</think>";
    std::string_view reasoning;
    if (const std::size_t first = content.find(kClose); first != std::string_view::npos) {
      reasoning = without_trailing_newlines(content.substr(0, first));
      if (const std::size_t open = reasoning.rfind(kOpen); open != std::string_view::npos) reasoning.remove_prefix(open + kOpen.size());
      reasoning = without_leading_newlines(reasoning);
      content = without_leading_newlines(content.substr(content.rfind(kClose) + kClose.size()));
    }
    if (after_query && (last || !reasoning.empty())) {
      append_turn(prompt, "assistant", fmt::format("<think>\n{}\n</think>\n\n{}", without_trailing_newlines(reasoning), without_leading_newlines(content)));
    } else {
      append_turn(prompt, "assistant", content);
    }
  }
};

/// Finds the template in tokenizer_config.json: a text, or a list of named ones of which "default" counts.
Result<std::string> template_in_config(const std::string& text) {
  json::error_code error;
  const json::value root = json::parse(text, error);
  if (error) return fail(ErrorCode::kInvalidArgument, "not valid JSON: {}", error.message());
  const json::object* object = root.if_object();
  if (object == nullptr) return fail(ErrorCode::kInvalidArgument, "not a JSON object");
  const json::value* found = object->if_contains("chat_template");
  if (found == nullptr || found->is_null()) return fail(ErrorCode::kNotFound, "required field is missing: chat_template");
  if (const json::string* plain = found->if_string()) return std::string(plain->data(), plain->size());
  if (const json::array* named = found->if_array()) {
    for (const json::value& item : *named) {
      const json::object* entry = item.if_object();
      const json::value* name = entry == nullptr ? nullptr : entry->if_contains("name");
      const json::value* body = entry == nullptr ? nullptr : entry->if_contains("template");
      if (name != nullptr && body != nullptr && *name == "default" && body->is_string())
        return std::string(body->get_string().data(), body->get_string().size());
    }
  }
  return fail(ErrorCode::kInvalidArgument, "chat_template must be a text, or a list with a template named \"default\"");
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

/// Jinja reads a line end and \n inside quotes alike.
std::string with_escaped_newlines(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\n') {
      escaped += "\\n";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

}  // namespace

Result<std::shared_ptr<const ChatTemplate>> ChatTemplate::open(const std::string& folder) {
  std::string path = folder + "/chat_template.jinja";  // newer checkpoints keep the template in a file of its own
  FLEXPERT_ASSIGN(auto text, read_model_file(path, kMaxTemplateBytes));
  if (!text) {
    path = folder + "/tokenizer_config.json";
    FLEXPERT_ASSIGN(const auto config, read_model_file(path, kMaxTemplateBytes));
    if (!config) return fail(ErrorCode::kNotFound, "no such file: {}", path);
    auto found = template_in_config(*config);
    if (!found) return fail(found.error().with_context(path));
    text = std::move(*found);
  }
  const std::string_view body = trimmed(*text);
  const std::string escaped = with_escaped_newlines(body);
  for (const std::string_view known : kChatMl)
    if (escaped == known) return std::make_shared<const ChatMlTemplate>();
  if (has_in_order(body, kQwen3)) return std::make_shared<const Qwen3Template>();
  return fail(ErrorCode::kInvalidArgument, "{}: unsupported chat_template (plain ChatML and Qwen3's are supported): {}...", path, body.substr(0, 100));
}

}  // namespace flexpert::engine
