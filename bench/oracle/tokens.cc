// Encodes texts with our tokenizer, for comparison with another one.
// usage: flexpert_tokens TOKENIZER_DIR < JSON list of texts > JSON list of lists of token ids
#include <cstdio>
#include <iostream>
#include <iterator>
#include <string>

#include <boost/json.hpp>

#include "engine/tokenizer/tokenizer.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: flexpert_tokens TOKENIZER_DIR < texts.json\n");
    return 2;
  }
  const auto tokenizer = flexpert::engine::Tokenizer::open(argv[1]);
  if (!tokenizer) {
    std::fprintf(stderr, "flexpert_tokens: %s\n", tokenizer.error().message.c_str());
    return 1;
  }
  const std::string input((std::istreambuf_iterator<char>(std::cin)), std::istreambuf_iterator<char>());
  boost::json::error_code error;
  const boost::json::value texts = boost::json::parse(input, error);
  if (error || !texts.is_array()) {
    std::fprintf(stderr, "flexpert_tokens: standard input is not a JSON list\n");
    return 1;
  }
  boost::json::array all;
  for (const boost::json::value& text : texts.get_array()) {
    if (!text.is_string()) {
      std::fprintf(stderr, "flexpert_tokens: standard input holds something that is not a text\n");
      return 1;
    }
    const auto ids = (*tokenizer)->encode({text.get_string().data(), text.get_string().size()});
    all.emplace_back(boost::json::array(ids.begin(), ids.end()));
  }
  std::cout << boost::json::serialize(all) << '\n';
  return 0;
}
