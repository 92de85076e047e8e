#include "codec/safetensors.h"

#include <cstring>

#include <gtest/gtest.h>

namespace flexpert::codec {
namespace {

/// Builds a file of this header with `data` zero bytes behind it.
std::string file_of(std::string_view header, std::size_t data) {
  std::string bytes(8, '\0');
  const std::uint64_t length = header.size();
  for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>(length >> (8 * i));
  return bytes + std::string(header) + std::string(data, '\0');
}

Result<SafetensorsTable> parse(std::string_view file) { return parse_safetensors(std::as_bytes(std::span(file.data(), file.size())), file.size()); }

/// The error's message; empty when there is none.
std::string error_of(std::string_view file) {
  const auto table = parse(file);
  return table ? "" : table.error().message;
}

void expect_error(std::string_view header, std::size_t data, std::string_view part) {
  EXPECT_NE(error_of(file_of(header, data)).find(part), std::string::npos) << error_of(file_of(header, data)) << "\nfor " << header;
}

TEST(Safetensors, ListsTensorsByPosition) {
  const auto table = parse(file_of(R"({"__metadata__":{"format":"pt"},"b":{"dtype":"BF16","shape":[2,3],"data_offsets":[8,20]},)"
                                   R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}  )", 20));
  ASSERT_TRUE(table) << table.error().message;
  ASSERT_EQ(table->tensors.size(), 2U);
  EXPECT_EQ(table->tensors[0].name, "a");
  EXPECT_EQ(table->tensors[0].begin, table->data_begin);
  EXPECT_EQ(table->tensors[1].dtype, "BF16");
  EXPECT_EQ(table->tensors[1].shape, (std::vector<std::uint64_t>{2, 3}));
  EXPECT_EQ(table->tensors[1].end - table->tensors[1].begin, 12U);
}

TEST(Safetensors, AcceptsScalarsEmptyTensorsAndOtherDtypes) {
  const auto table = parse(file_of(R"({"s":{"dtype":"I64","shape":[],"data_offsets":[0,8]},"e":{"dtype":"F16","shape":[0,4],"data_offsets":[8,8]},)"
                                   R"("q":{"dtype":"F4","shape":[4],"data_offsets":[8,10]}})", 10));
  ASSERT_TRUE(table) << table.error().message;
  EXPECT_EQ(table->tensors.size(), 3U);
}

TEST(Safetensors, AcceptsNoTensors) { EXPECT_TRUE(parse(file_of("{}", 0))); }

TEST(Safetensors, RefusesTruncatedFiles) {
  EXPECT_NE(error_of("").find("too short"), std::string::npos);
  EXPECT_NE(error_of("1234567").find("too short"), std::string::npos);
  const std::string whole = file_of(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8);
  ASSERT_TRUE(parse(whole));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto table = parse(std::string_view(whole).substr(0, size));
    ASSERT_FALSE(table) << size;
    EXPECT_EQ(table.error().code, ErrorCode::kDataLoss) << size << ": " << table.error().message;
  }
}

TEST(Safetensors, RefusesOversizedHeaders) {
  std::string bytes = file_of("{}", 0);
  bytes[3] = 0x7f;
  EXPECT_NE(error_of(bytes).find("longer than the allowed"), std::string::npos);
  bytes[7] = static_cast<char>(0xff);
  EXPECT_NE(error_of(bytes).find("longer than the allowed"), std::string::npos);
}

TEST(Safetensors, RefusesBadJson) {
  expect_error("[]", 0, "does not start with '{'");
  expect_error("", 0, "does not start with '{'");
  expect_error(R"({"a":)", 0, "not valid JSON");
  expect_error("{} x", 0, "not valid JSON");
  expect_error("{\"a\xff\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4, "not valid JSON");
  expect_error(R"({"a":)" + std::string(5000, '[') + std::string(5000, ']') + "}", 0, "not valid JSON");
}

TEST(Safetensors, RefusesMalformedEntries) {
  expect_error(R"({"a":7})", 0, "not described by an object: a");
  expect_error(R"({"a":{"shape":[1],"data_offsets":[0,4]}})", 4, "no dtype: a");
  expect_error(R"({"a":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}})", 4, "unknown dtype F99: a");
  expect_error(R"({"a":{"dtype":"F32","data_offsets":[0,4]}})", 4, "no list shape: a");
  expect_error(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4, "whole numbers >= 0: tensor a");
  expect_error(R"({"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}})", 4, "whole numbers >= 0: tensor a");
  expect_error(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}})", 4, "[begin, end]");
  expect_error(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 4, "[begin, end]");
  expect_error(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}})", 4, "unknown field x: a");
  expect_error(R"({"__metadata__":{"a":1}})", 0, "__metadata__");
}

TEST(Safetensors, RefusesDuplicateNames) {
  expect_error(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8, "name twice: a");
}

TEST(Safetensors, RefusesBytesThatDoNotMatchTheShape) {
  expect_error(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4, "a is F32 [2] but has 4 bytes");
  expect_error(R"({"a":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}})", 2, "byte count");
  expect_error(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0, "byte count");
}

TEST(Safetensors, RefusesOverlapsGapsAndRest) {
  expect_error(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})", 12, "overlap: a and b");
  expect_error(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8, "overlap: a and b");
  expect_error(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8, "gap of 4 bytes before tensor a");
  expect_error(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 9, "5 bytes that belong to no tensor");
  expect_error(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 7, "ends beyond the file");
}

}  // namespace
}  // namespace flexpert::codec
