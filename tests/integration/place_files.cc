#include "integration/place_files.h"

#include <cmath>

#include <fmt/format.h>

#include "base/rng.h"
#include "codec/expert_counts_json.h"

namespace flexpert::integration {

namespace {

ExpertCounts skewed(std::uint64_t seed) {
  Rng rng(seed);
  ExpertCounts counts{{3, 16}, {}, 0};
  for (std::size_t i = 0; i < counts.geometry.size(); ++i) counts.count.push_back(std::floor(10 + 990 * rng.uniform() * rng.uniform()));
  return counts;
}

}  // namespace

PlaceFiles::PlaceFiles() {
  loads = folder.write("loads.json", codec::write_expert_counts_json(skewed(1)));
  later = folder.write("later.json", codec::write_expert_counts_json(skewed(2)));
}

std::string PlaceFiles::routing() const {
  constexpr std::uint32_t kTokens = 60;
  constexpr std::uint32_t kRequests = 12;
  Rng rng(3);
  std::string bytes;
  std::string index = "request,dataset,category,row_index,prompt_tokens,decode_tokens,first_token,finished\n";
  for (std::uint32_t request = 0; request < kRequests; ++request) {
    const bool alpha = request < kRequests / 2;
    index += fmt::format("{},{},0,{},5,{},{},1\n", request, alpha ? "alpha" : "beta", request, kTokens, request * kTokens);
    for (std::uint32_t choice = 0; choice < kTokens * 3; ++choice) {  // 3 layers, top 2, of 8 experts
      const auto first = static_cast<std::uint32_t>(8 * rng.uniform() * rng.uniform());
      bytes.push_back(static_cast<char>(alpha ? first : 7 - first));
      bytes.push_back(static_cast<char>((static_cast<std::uint32_t>(bytes.back()) + 1 + rng.below(7)) % 8));
    }
  }
  write("small_index.csv", index);
  return folder.write("small_top2.u8", bytes);
}

Finished place(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "place");
  return run_program(arguments);
}

}  // namespace flexpert::integration
