#include "rig/requests.h"

#include <fmt/format.h>

namespace flexpert::bench {
namespace {

constexpr std::string_view kText =
    "The quick brown fox jumps over the lazy dog while \\\"seventeen\\\" engineers discuss the throughput of mixture-of-experts models, "
    "their routers, and what a cache of keys and values costs.\\nThen they measure it again. ";
constexpr std::string_view kNumber = "\"user\":\"t-";

/// Text for a JSON string of exactly `bytes` bytes that does not end within an escape.
std::string filler(std::size_t bytes) {
  std::string text;
  while (text.size() + kText.size() <= bytes) text += kText;
  return text + std::string(bytes - text.size(), 'x');
}

}  // namespace

std::string chat_request(const ChatRequest& request) {
  std::string body = R"({"model":"m",)";
  if (request.stream) body += R"("stream":true,)";
  if (request.number != 0) body += fmt::format("{}{:08}\",", kNumber, request.number);
  body += R"("max_tokens":64,"temperature":0.7,"messages":[{"role":"system","content":"You are helpful."})";
  constexpr std::string_view kUser = R"(,{"role":"user","content":")";
  constexpr std::string_view kAssistant = R"(,{"role":"assistant","content":")";
  constexpr std::string_view kEnd = "\"}";
  constexpr std::size_t kTurn = 2000;
  bool user = true;
  while (request.many_messages && body.size() + 3 * kTurn < request.body_bytes) {
    body += user ? kUser : kAssistant;
    body += filler(kTurn);
    body += kEnd;
    user = !user;
  }
  body += kUser;
  const std::size_t closing = kEnd.size() + 2;
  body += filler(request.body_bytes > body.size() + closing ? request.body_bytes - body.size() - closing : 1);
  body += kEnd;
  body += "]}";
  return fmt::format(
             "POST /v1/chat/completions HTTP/1.1\r\nHost: gateway.example:9000\r\nUser-Agent: OpenAI/Python 1.93.0\r\nAccept: {}\r\n"
             "Accept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\n{}Content-Type: application/json\r\n"
             "Content-Length: {}\r\n\r\n",
             request.stream ? "text/event-stream" : "application/json", request.api_key.empty() ? std::string() : fmt::format("Authorization: Bearer {}\r\n", request.api_key), body.size()) +
         body;
}

void set_number(std::string& request, std::uint32_t number) {
  const std::size_t at = request.find(kNumber);
  if (at != std::string::npos) request.replace(at + kNumber.size(), 8, fmt::format("{:08}", number));
}

}  // namespace flexpert::bench
