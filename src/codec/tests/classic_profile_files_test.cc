#include "codec/classic_profile_files.h"

#include <cmath>
#include <fstream>
#include <iterator>
#include <map>

#include <gtest/gtest.h>

#include "codec/npy.h"
#include "codec/zip_archive.h"

namespace flexpert::codec {
namespace {

std::string dynamo(const std::string& name) {
  std::ifstream file(FLEXPERT_SOURCE_DIR "/data/profiles/dynamo/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

using Arrays = std::map<std::string, NumberArray>;

std::string npz(const Arrays& arrays) {
  ZipWriter zip;
  for (const auto& [key, array] : arrays) EXPECT_TRUE(zip.add(key + ".npy", *write_npy(array, NpyType::kFloat64)).has_value());
  return zip.finish();
}

const NumberArray kFour{{4}, {1, 2, 3, 4}};
const Arrays kPrefill = {{"prefill_isl", kFour}, {"prefill_ttft", kFour}, {"prefill_thpt_per_gpu", kFour}};
const Arrays kDecode = {{"x_kv_usage", kFour}, {"y_context_length", kFour}, {"z_itl", kFour}, {"z_thpt_per_gpu", kFour}, {"max_kv_tokens",
    {{1}, {900}}}};

std::string refusal(const Arrays& prefill, const Arrays& decode) {
  const auto samples = parse_dynamo_profile(npz(prefill), npz(decode));
  return samples ? "accepted" : samples.error().message;
}

ProfileConfiguration with_tp(std::uint32_t tp) { return {tp, std::nullopt, std::nullopt}; }

TEST(ClassicProfileFiles, ReadsDynamosPair) {
  const auto samples = parse_dynamo_profile(dynamo("H200_TP1P_TP1D.prefill.raw_data.npz"), dynamo("H200_TP1P_TP1D.decode.raw_data.npz"));
  ASSERT_TRUE(samples.has_value()) << samples.error().message;
  EXPECT_EQ(samples->prefill_isl.size(), 17U);
  EXPECT_DOUBLE_EQ(samples->prefill_ttft_ms[1], 38.494131);
  EXPECT_EQ(samples->decode_itl_ms.size(), 41U);
  EXPECT_EQ(samples->max_kv_tokens, 945'029);
}

TEST(ClassicProfileFiles, ChoosesAConfiguration) {
  const std::string prefill = dynamo("h100_sxm_vllm_nvidia_Llama-3.3-70B-Instruct-FP8.prefill.npz");
  const std::string decode = dynamo("h100_sxm_vllm_nvidia_Llama-3.3-70B-Instruct-FP8.decode.npz");
  const auto none = parse_dynamo_profile(prefill, decode);
  ASSERT_FALSE(none.has_value());
  EXPECT_EQ(none.error().message, "prefill npz: several configurations match; choose one by tp, dp and pp, there are: (tp 8, dp 1, pp 1), "
                                  "(tp 4, dp 1, pp 1), (tp 2, dp 1, pp 1)");
  EXPECT_NE(parse_dynamo_profile(prefill, decode, with_tp(3)).error().message.find("no configurations match"), std::string::npos);
  const auto four = parse_dynamo_profile(prefill, decode, with_tp(8), with_tp(4));
  ASSERT_TRUE(four.has_value()) << four.error().message;
  EXPECT_EQ(four->prefill_isl.size(), 9U);
  EXPECT_DOUBLE_EQ(four->prefill_ttft_ms[0], 18.981451);
  EXPECT_EQ(four->decode_itl_ms.size(), 39U);
}

TEST(ClassicProfileFiles, NamesFileKeyAndIndex) {
  Arrays prefill = kPrefill, decode = kDecode;
  EXPECT_EQ(refusal(prefill, decode), "accepted");
  prefill["prefill_ttft"].values[2] = std::nan("");
  EXPECT_EQ(refusal(prefill, decode), "prefill npz: prefill_ttft[2]: must be a finite number, not nan");
  prefill = kPrefill;
  prefill.erase("prefill_isl");
  EXPECT_EQ(refusal(prefill, decode), "prefill npz: prefill_isl: the file has no such array; is it a profile of Dynamo?");
  decode["z_itl"] = {{3}, {1, 2, 3}};
  EXPECT_EQ(refusal(kPrefill, decode), "decode npz: z_itl: must have as many values as x_kv_usage, 4; it has 3");
  decode["z_itl"] = {{2, 2}, {1, 2, 3, 4}};
  EXPECT_EQ(refusal(kPrefill, decode), "decode npz: z_itl: must have the shape [points], as the first array has; it has [2][2]");
  EXPECT_NE(parse_dynamo_profile("no zip", npz(kDecode)).error().message.find("prefill npz: "), std::string::npos);
  EXPECT_NE(parse_dynamo_profile(npz(kPrefill), npz(kPrefill)).error().message.find("decode npz: x_kv_usage: the file has no such array"),
            std::string::npos);
}

}  // namespace
}  // namespace flexpert::codec
