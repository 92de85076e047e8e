#include "codec/pickle_reader.h"

#include <array>
#include <string>

#include <gtest/gtest.h>

namespace flexpert::codec {
namespace {

using namespace std::string_literals;

constexpr std::array<std::string_view, 2> kGlobals = {"collections.OrderedDict", "m.f"};

std::string error_of(const std::string& bytes, const PickleLimits& limits = {}) {
  const auto pickle = read_pickle(bytes, kGlobals, limits);
  return pickle ? "no error" : pickle.error().message;
}

TEST(PickleReader, ReadsPlainData) {
  // {"a": [1, -2, 300, 2.5, None, True], "b": (70000, -1 as a long)} as Python's pickle.dumps(protocol=2) writes it.
  const auto pickle = read_pickle("\x80\x02}q\0(X\1\0\0\0aq\1]q\2(K\1J\xfe\xff\xff\xffM\x2c\1G@\x04\0\0\0\0\0\0N\x88"s
                                  "eX\1\0\0\0bq\3J\x70\x11\1\0\x8a\1\xff\x86q\4u."s, kGlobals);
  ASSERT_TRUE(pickle) << pickle.error().message;
  const auto list = pickle->field(pickle->root, "a");
  ASSERT_TRUE(list && list->kind == PickleKind::kList);
  const auto items = pickle->items(*list);
  ASSERT_EQ(items.size(), 6U);
  EXPECT_EQ(items[1].integer, -2);
  EXPECT_EQ(items[2].integer, 300);
  EXPECT_EQ(items[3].real(), 2.5);
  EXPECT_EQ(items[4].kind, PickleKind::kNone);
  EXPECT_EQ(items[5].kind, PickleKind::kBool);
  const auto pair = pickle->items(*pickle->field(pickle->root, "b"));
  EXPECT_EQ(pair[0].integer, 70000);
  EXPECT_EQ(pair[1].integer, -1);
  EXPECT_FALSE(pickle->field(pickle->root, "c"));
}

TEST(PickleReader, SharesWhatTheMemoHolds) {
  const auto pickle = read_pickle("\x80\x02]q\0(]q\1h\1K\7e."s, kGlobals);
  ASSERT_TRUE(pickle) << pickle.error().message;
  const auto items = pickle->items(pickle->root);
  ASSERT_EQ(items.size(), 3U);
  EXPECT_EQ(items[0].index, items[1].index);
  EXPECT_TRUE(read_pickle("\x80\x02]q\0h\0a."s, kGlobals)) << "a list that contains itself is no danger";
}

TEST(PickleReader, CallsNothing) {
  const auto pickle = read_pickle("\x80\x02" "cm\nf\nK\1\x85R."s, kGlobals);
  ASSERT_TRUE(pickle) << pickle.error().message;
  ASSERT_EQ(pickle->root.kind, PickleKind::kCall);
  EXPECT_EQ(pickle->text(pickle->items(pickle->root)[0]), "m.f");
  EXPECT_EQ(read_pickle("\x80\x02" "ccollections\nOrderedDict\n)R."s, kGlobals)->root.kind, PickleKind::kDict);
}

TEST(PickleReader, OtherNamesAreRefusedByName) {
  EXPECT_EQ(error_of("\x80\x02" "cos\nsystem\nX\2\0\0\0ls\x85R."s),
            "pickle: the global os.system at byte 2 is not allowed: only plain data and tensors are read");
  EXPECT_EQ(error_of("\x80\x04\x8c\2os\x8c\6system\x93."s),
            "pickle: the global os.system at byte 14 is not allowed: only plain data and tensors are read");
  EXPECT_EQ(error_of("\x80\x02"
                     "cm\nf\n)\x81."s),
            "pickle: the opcode NEWOBJ (0x81) at byte 8 is not allowed: only plain data and tensors are read");
  EXPECT_EQ(error_of("\x80\x02}}b."s), "pickle: the opcode BUILD (0x62) at byte 4 is not allowed: only plain data and tensors are read");
  EXPECT_EQ(error_of("\x80\x02\xff"s), "pickle: the opcode unknown (0xff) at byte 2 is not allowed: only plain data and tensors are read");
}

TEST(PickleReader, DamageIsAnError) {
  for (const std::string& bytes : {"\x80\x02"s,
                                   "\x80\x02."s,
                                   "\x80\x02NN."s,
                                   "\x80\x02(N."s,
                                   "\x80\x02N.N"s,
                                   "\x80\x02h\0."s,
                                   "\x80\x02Nq\5."s,
                                   "\x80\x02Na."s,
                                   "\x80\x02}NN\x88s."s,
                                   "\x80\x02}(Nu."s,
                                   "\x80\x02X\xff\xff\xff\xff."s,
                                   "\x80\x02t."s,
                                   "\x80\x02R."s,
                                   "\x80\x02NNR."s,
                                   "\x80\x02](\x85."s,
                                   "\x80\x01N."s,
                                   "\x80\x06N."s,
                                   "N."s,
                                   ""s,
                                   "\x80\x04\x95\xff\0\0\0\0\0\0\0N."s,
                                   "\x80\x02\x8a\x09"
                                   "123456789."s,
                                   "\x80\x02"
                                   "cm"s})
    EXPECT_NE(error_of(bytes), "no error") << testing::PrintToString(bytes);
}

TEST(PickleReader, LimitsAreObeyed) {
  EXPECT_EQ(error_of("\x80\x02NNN"s, {.values = 2}), "pickle: more than 2 values");
  EXPECT_EQ(error_of("\x80\x02]]]"s, {.objects = 2}), "pickle: more than 2 strings or containers");
  EXPECT_EQ(error_of("\x80\x02((("s, {.marks = 2}), "pickle: nested deeper than 2 levels");
  EXPECT_EQ(error_of("\x80\x02N."s, {.bytes = 3}), "pickle: 4 bytes; at most 3 are read");
}

}  // namespace
}  // namespace flexpert::codec
