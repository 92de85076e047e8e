#include "engine/tokenizer/chat_template.h"

#include <filesystem>
#include <fstream>

#include <unistd.h>

#include <boost/json.hpp>
#include <gtest/gtest.h>

namespace flexpert::engine {
namespace {

/// The lines of Qwen3's published template that concern text messages (those about tools are left out).
constexpr const char* kQwen3 = R"({%- if messages[0].role == 'system' %}
    {{- '<|im_start|>system\n' + messages[0].content + '<|im_end|>\n' }}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages %}
    {%- if '</think>' in message.content %}
        {%- set content = message.content.split('</think>')[-1].lstrip('\n') %}
    {%- endif %}
    {%- if loop.index0 > ns.last_query_index %}
        {{- '<|im_start|>' + message.role + '\n<think>\n' + reasoning_content.strip('\n') + '\n</think>\n\n' + content.lstrip('\n') }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\n\n</think>\n\n' }}
    {%- endif %}
{%- endif %})";

/// Opens a folder whose tokenizer_config.json has this text.
Result<std::shared_ptr<const ChatTemplate>> open_config(const std::string& config) {
  const auto folder = std::filesystem::path(testing::TempDir()) /
                      fmt::format("chat_template_{}_{}", ::getpid(), testing::UnitTest::GetInstance()->current_test_info()->name());
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "tokenizer_config.json") << config;
  auto opened = ChatTemplate::open(folder.string());
  std::filesystem::remove_all(folder);
  return opened;
}

std::shared_ptr<const ChatTemplate> qwen3() {
  auto opened = open_config(boost::json::serialize(boost::json::object{{"chat_template", kQwen3}}));
  EXPECT_TRUE(opened) << opened.error().message;
  return *opened;
}

TEST(ChatTemplate, Qwen3RendersATurn) {
  EXPECT_EQ(*qwen3()->render({{"system", "Be brief."}, {"user", "Hi"}}),
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
}

TEST(ChatTemplate, Qwen3LeavesOutTheThinkingOfEarlierTurns) {
  EXPECT_EQ(*qwen3()->render({{"user", "1?"}, {"assistant", "<think>\nhm\n</think>\n\nOne."}, {"user", "2?"}}),
            "<|im_start|>user\n1?<|im_end|>\n<|im_start|>assistant\nOne.<|im_end|>\n<|im_start|>user\n2?<|im_end|>\n<|im_start|>assistant\n");
}

TEST(ChatTemplate, Qwen3KeepsTheThinkingAfterTheLastQuestion) {
  EXPECT_EQ(*qwen3()->render({{"user", "1?"}, {"assistant", "<think>\nhm\n</think>\n\nOne."}}),
            "<|im_start|>user\n1?<|im_end|>\n<|im_start|>assistant\n<think>\nhm\n</think>\n\nOne.<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(*qwen3()->render({{"user", "1?"}, {"assistant", "One."}}),
            "<|im_start|>user\n1?<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\nOne.<|im_end|>\n<|im_start|>assistant\n");
}

TEST(ChatTemplate, NamesTheMessageOfAnUnknownRole) {
  const auto rendered = qwen3()->render({{"user", "x"}, {"wizard", "y"}});
  ASSERT_FALSE(rendered);
  EXPECT_NE(rendered.error().message.find("messages[1] has the role wizard"), std::string::npos);
  const auto tool = qwen3()->render({{"tool", "x"}});
  ASSERT_FALSE(tool);
  EXPECT_NE(tool.error().message.find("tool messages are not supported yet"), std::string::npos);
  EXPECT_FALSE(qwen3()->render({}));
}

TEST(ChatTemplate, TakesTheDefaultOfNamedTemplates) {
  EXPECT_TRUE(open_config(boost::json::serialize(boost::json::object{
      {"chat_template", {{{"name", "tool_use"}, {"template", "x"}}, {{"name", "default"}, {"template", kQwen3}}}}})));
}

TEST(ChatTemplate, RefusesOtherTemplates) {
  for (const auto& [config, part] : std::vector<std::pair<std::string, std::string>>{
           {R"({"chat_template":"{{ messages }}"})", "unsupported chat_template"},
           {R"({"chat_template":7})", "chat_template must be a text"},
           {R"({"chat_template":[{"name":"rag","template":"x"}]})", "named \"default\""},
           {"{}", "required field is missing: chat_template"},
           {"{", "not valid JSON"},
           {"[]", "not a JSON object"}}) {
    const auto opened = open_config(config);
    ASSERT_FALSE(opened) << config;
    EXPECT_NE(opened.error().message.find(part), std::string::npos) << opened.error().message;
    EXPECT_NE(opened.error().message.find("tokenizer_config.json"), std::string::npos) << opened.error().message;
  }
}

}  // namespace
}  // namespace flexpert::engine
