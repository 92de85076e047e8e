#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace flexpert::bench {

/// A chat request for model "m", head and body, as a client's library sends it; the body has exactly `body_bytes` bytes (at
/// least 200). `number` over 0 makes it a tracked one, see Backend.
struct ChatRequest {
  std::size_t body_bytes = 250;
  bool stream = false;
  std::uint32_t number = 0;
  std::string api_key = "fx-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
  bool many_messages = true;  ///< a long body is a conversation in turns of about 2 KB, else one long text
};
std::string chat_request(const ChatRequest& request);
/// Puts another number, of the same width, into the request that chat_request() made with one.
void set_number(std::string& request, std::uint32_t number);

}  // namespace flexpert::bench
