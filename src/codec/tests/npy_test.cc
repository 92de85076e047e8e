#include "codec/npy.h"

#include <gtest/gtest.h>

#include "codec/tests/test_file.h"

namespace flexpert::codec {
namespace {

using namespace std::string_literals;

const NumberArray kSix{{2, 3}, {0, 1, 2, 3, 4, 5}};

std::string error_of(const std::string& bytes) {
  const auto array = parse_npy(bytes);
  return array ? "no error" : array.error().message;
}

/// Makes a version-1 file with this header.
std::string file_with(std::string_view header, std::string_view data) {
  return "\x93NUMPY\1\0"s + static_cast<char>(header.size()) + '\0' + std::string(header) + std::string(data);
}

TEST(Npy, ReadsNumpysOwnFiles) {
  EXPECT_EQ(*parse_npy(fixture("int64.npy")), kSix);
  EXPECT_EQ(*parse_npy(fixture("big_endian.npy")), kSix);
  EXPECT_EQ(*parse_npy(fixture("fortran.npy")), kSix);
  EXPECT_EQ(*parse_npy(fixture("half.npy")), (NumberArray{{4}, {0, 1, 2, 3}}));
  EXPECT_EQ(*parse_npy(fixture("boolean.npy")), (NumberArray{{2}, {1, 0}}));
  const auto steps = parse_npy(fixture("steps.npy"));
  EXPECT_EQ(steps->shape, (std::vector<std::uint64_t>{2, 3, 4}));
  EXPECT_EQ(steps->values.back(), 23);
}

TEST(Npy, ReadsArchivesStoredAndDeflated) {
  EXPECT_EQ(*parse_npz(fixture("stored.npz")), kSix);
  EXPECT_EQ(*parse_npz(fixture("deflated.npz")), kSix);
  EXPECT_EQ(*parse_npz(fixture("stored.npz"), "other"), (NumberArray{{2}, {0, 0}}));
  EXPECT_EQ(parse_npz(fixture("stored.npz"), "more").error().message, "npz: no array 'more'; select one of: logical_count other");
}

TEST(Npy, ReadsVersionsTwoAndThree) {
  const std::string header = "{'descr': '<u1', 'fortran_order': False, 'shape': (2,), }\n";
  for (const char version : {'\2', '\3'}) {
    const std::string bytes = "\x93NUMPY"s + version + '\0' + static_cast<char>(header.size()) + "\0\0\0"s + header + "\1\2";
    EXPECT_EQ(*parse_npy(bytes), (NumberArray{{2}, {1, 2}}));
  }
  EXPECT_EQ(error_of("\x93NUMPY\4\0\0\0\0\0\0\0"s), "npy: format version 4 is not read, only 1 to 3");
}

TEST(Npy, WritesWhatItReads) {
  for (const NpyType type : {NpyType::kInt32, NpyType::kInt64, NpyType::kFloat32, NpyType::kFloat64}) {
    const auto bytes = write_npy(kSix, type);
    ASSERT_TRUE(bytes);
    EXPECT_EQ(*parse_npy(*bytes), kSix);
    EXPECT_EQ((bytes->size() - 6 * (type == NpyType::kInt32 || type == NpyType::kFloat32 ? 4U : 8U)) % 64, 0U);
  }
  EXPECT_EQ(*parse_npy(*write_npy({{}, {2}}, NpyType::kInt64)), (NumberArray{{}, {2}}));
  EXPECT_EQ(*parse_npy(*write_npy({{1}, {2}}, NpyType::kInt64)), (NumberArray{{1}, {2}}));
  EXPECT_EQ(write_npy({{2}, {1, 0.5}}, NpyType::kInt64).error().message, "npy: value 1 is no <i8: 0.5; write floats");
  EXPECT_FALSE(write_npy({{2}, {1}}, NpyType::kInt64));
}

TEST(Npy, WritesNumpysBytes) { EXPECT_EQ(*write_npy(kSix, NpyType::kInt64), fixture("int64.npy")); }

TEST(Npy, TruncatedAndSurplusBytesAreErrors) {
  const std::string bytes = fixture("int64.npy");
  for (std::size_t length = 0; length < bytes.size(); ++length)
    EXPECT_FALSE(parse_npy(std::string_view(bytes).substr(0, length))) << length;
  EXPECT_EQ(error_of(bytes + "x"), "npy: [2][3] of <i8 needs 48 bytes of data, the file has 49");
}

TEST(Npy, WrongHeadersAreErrors) {
  EXPECT_EQ(error_of(fixture("structured.npy")), "npy: structured types are not read; give a plain array of numbers");
  EXPECT_EQ(error_of(file_with("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", "x")),
            "npy: the type '|O' is not read: use a bool, integer or float of at most 8 bytes");
  EXPECT_EQ(error_of(file_with("{'descr': '|i8', 'fortran_order': False, 'shape': (1,), }", "12345678")),
            "npy: the type '|i8' is not read: use a bool, integer or float of at most 8 bytes");
  for (const char* header :
       {"    ", "{}  ", "{'descr': '<i8'}", "{'descr': '<u1', 'fortran_order': 1, 'shape': ()}",
        "{'descr': '<u1', 'fortran_order': True, 'shape': 3}", "{'descr': '<u1', 'fortran_order': True, 'shape': (-1,)}",
        "{'descr': '<u1', 'fortran_order': True, 'shape': (1)} x", "{'descr': '<u1', 'descr': '<u1', 'fortran_order': True, 'shape': (1)}",
        "{'descr': '<u1' 'fortran_order': True, 'shape': (1)}"})
    EXPECT_TRUE(error_of(file_with(header, "1")).starts_with("npy: the header is not numpy's"))
        << header << ": " << error_of(file_with(header, "1"));
  EXPECT_EQ(parse_npy(file_with("{'descr':'<u1','fortran_order':False,'shape':(99999999999,0,)}", "")).error().code,
            ErrorCode::kResourceExhausted);
  EXPECT_EQ(parse_npy(file_with("{'descr':'<i8','fortran_order':False,'shape':(1,)}", "\xff\xff\xff\xff\xff\xff\xff\x7f")).error().message,
            "npy: element 0 is beyond 2^53: 9.223372036854776e+18");
}

}  // namespace
}  // namespace flexpert::codec
