// Bytes that start with '{' are a tokenizer.json: an error, or a tokenizer that encodes. Other bytes are text: encoding and
// decoding gives the text back.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "engine/tokenizer/tokenizer.h"
#include "engine/tokenizer/utf8.h"

namespace {

using flexpert::engine::StreamDecoder;
using flexpert::engine::Tokenizer;

/// A tokenizer of the 256 bytes and a few merges.
std::shared_ptr<const Tokenizer> small(bool qwen, bool nfc) {
  std::string vocab;
  int id = 0;
  std::uint32_t next = 0x100;
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    std::string text;
    flexpert::engine::append_utf8(printable ? byte : next++, text);
    if (text == "\"" || text == "\\") text.insert(0, "\\");
    vocab += fmt::format("\"{}\":{},", text, id++);
  }
  vocab += R"("aa":256,"aaaa":257,"ĠĠ":258,"Ã©":259,"<s>":260)";
  const std::string pre = qwen ? R"re({"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"},"behavior":"Isolated","invert":false},{"type":"ByteLevel","add_prefix_space":false,"use_regex":false}]})re"
                               : R"({"type":"ByteLevel","add_prefix_space":false,"use_regex":true})";
  const auto made = Tokenizer::parse(fmt::format(
      R"({{"normalizer":{},"pre_tokenizer":{},"added_tokens":[{{"id":260,"content":"<s>","special":false,"normalized":false}}],)"
      R"("model":{{"type":"BPE","vocab":{{{}}},"merges":["a a",["aa","aa"],"Ġ Ġ","Ã ©"]}}}})",
      nfc ? R"({"type":"NFC"})" : "null", pre, vocab));
  if (!made) std::abort();
  return *made;
}

std::string decode(const Tokenizer& tokenizer, const std::vector<flexpert::engine::TokenId>& ids) {
  StreamDecoder decoder(tokenizer);
  std::string text;
  for (const auto id : ids) text += decoder.push(id);
  return text + decoder.flush();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (bytes.starts_with('{')) {
    const auto tokenizer = Tokenizer::parse(bytes);
    if (!tokenizer) return 0;
    for (const auto id : (*tokenizer)->encode("It's 12 o'clock,  \u00e9t\u00e9 <s>\n\n x"))
      if (id < 0 || static_cast<std::size_t>(id) >= (*tokenizer)->size()) std::abort();
    return 0;
  }
  static const auto kGpt2 = small(false, false);
  static const auto kQwen = small(true, false);
  static const auto kQwenNfc = small(true, true);
  const std::string text = flexpert::engine::to_valid_utf8(bytes);
  if (decode(*kGpt2, kGpt2->encode(bytes)) != text || decode(*kQwen, kQwen->encode(bytes)) != text) std::abort();
  const std::string normalized = decode(*kQwenNfc, kQwenNfc->encode(bytes));
  if (flexpert::engine::to_valid_utf8(normalized) != normalized) std::abort();
  return 0;
}
