#include "codec/torch_file.h"

#include <gtest/gtest.h>

#include "codec/tests/test_file.h"

namespace flexpert::codec {
namespace {

std::string open_error(std::string_view bytes) {
  const auto file = TorchFile::open(bytes);
  return file ? "no error" : file.error().message;
}

/// Opens a file and reads the tensor under a key of its dict.
Result<NumberArray> tensor(std::string_view bytes, std::string_view key) {
  FLEXPERT_ASSIGN(TorchFile file, TorchFile::open(bytes));
  const auto value = file.pickle().field(file.root(), key);
  if (!value) return fail(ErrorCode::kNotFound, "no {}", key);
  return file.numbers(*value, key);
}

NumberArray range(std::vector<std::uint64_t> shape, std::size_t count) {
  NumberArray array{std::move(shape), {}};
  for (std::size_t i = 0; i < count; ++i) array.values.push_back(static_cast<double>(i));
  return array;
}

TEST(TorchFile, ReadsARecordersDumpOfOldAndNewVersions) {
  for (const char* name : {"stat_dump.pt", "cuda_dump.pt", "torch_2/stat_dump.pt", "torch_2/cuda_dump.pt"}) {
    const auto counts = tensor(fixture(name), "logical_count");
    ASSERT_TRUE(counts) << name << ": " << counts.error().message;
    EXPECT_EQ(*counts, range({2, 3, 4}, 24)) << name;
  }
}

TEST(TorchFile, ReadsEveryElementType) {
  for (const std::string folder : {"", "torch_2/"}) {
    const std::string bytes = fixture(folder + "dtypes.pt");
    for (const char* key : {"int64", "int32", "int16", "int8", "uint8", "float64", "float32", "float16", "bfloat16"}) {
      const auto values = tensor(bytes, key);
      ASSERT_TRUE(values) << key << ": " << values.error().message;
      EXPECT_EQ(values->values, (std::vector<double>{0, 1, 2, 120})) << key;
    }
    EXPECT_EQ(tensor(bytes, "bool")->values, (std::vector<double>{0, 1, 1, 1}));
  }
  EXPECT_EQ(tensor(fixture("torch_2/unsigned.pt"), "two")->values, (std::vector<double>{1, 65535}));
  EXPECT_EQ(tensor(fixture("torch_2/unsigned.pt"), "four")->values, std::vector<double>{4294967295});
  EXPECT_EQ(tensor(fixture("protocol_4.pt"), "logical_count")->values, (std::vector<double>{1.5, 2.5}));
}

TEST(TorchFile, ReadsViewsOfASharedStorage) {
  const std::string bytes = fixture("views.pt");
  EXPECT_EQ(*tensor(bytes, "base"), range({4, 6}, 24));
  EXPECT_EQ(tensor(bytes, "transposed")->shape, (std::vector<std::uint64_t>{6, 4}));
  EXPECT_EQ(tensor(bytes, "transposed")->values[1], 6);
  EXPECT_EQ(tensor(bytes, "column")->values, (std::vector<double>{2, 8, 14, 20}));
  EXPECT_EQ(tensor(bytes, "corner")->values, (std::vector<double>{8, 9, 10, 14, 15, 16}));
  EXPECT_EQ(tensor(bytes, "expanded")->values, (std::vector<double>{0, 0, 0}));
  EXPECT_EQ(*tensor(bytes, "scalar"), (NumberArray{{}, {2.5}}));
  EXPECT_EQ(*tensor(bytes, "empty"), (NumberArray{{0, 3}, {}}));
}

TEST(TorchFile, OtherFilesAreRefusedWithTheWayOut) {
  EXPECT_TRUE(open_error(fixture("legacy.pt"))
                  .starts_with("torch: the file is in a format of PyTorch before 1.6, which is not read: save it again"));
  EXPECT_EQ(open_error(fixture("stored.npz")), "torch: the zip file has no data.pkl: it was not written by torch.save");
  EXPECT_EQ(open_error("{}"), "torch: the file does not begin with PK: it was not written by torch.save");
  EXPECT_TRUE(
      open_error(fixture("nested_module.pt")).starts_with("torch: data.pkl: pickle: the global torch.nn.modules.linear.Linear at byte 2"));
  EXPECT_TRUE(open_error(fixture("attack.pt")).find("print at byte") != std::string::npos) << open_error(fixture("attack.pt"));
}

TEST(TorchFile, EveryTruncationIsAnError) {
  const std::string bytes = fixture("stat_dump.pt");
  for (std::size_t length = 0; length < bytes.size(); ++length)
    EXPECT_FALSE(TorchFile::open(std::string_view(bytes).substr(0, length))) << length;
}

/// Makes a file of one int32 storage of three elements with the given description of a tensor.
std::string file_with(std::string_view offset_shape_strides, std::string_view order = "little", std::string_view type = "IntStorage") {
  using namespace std::string_literals;
  ZipWriter zip;
  const std::string pickle = "\x80\x02}X\1\0\0\0tctorch._utils\n_rebuild_tensor_v2\n((X\7\0\0\0storagectorch\n"s + std::string(type) +
                             "\nX\1\0\0\0"
                             "0X\3\0\0\0cpuK\3tQ"s +
                             std::string(offset_shape_strides) +
                             "\x89"
                             "ccollections\nOrderedDict\n)RtRs."s;
  EXPECT_TRUE(zip.add("x/data.pkl", pickle));
  EXPECT_TRUE(zip.add("x/byteorder", order));
  EXPECT_TRUE(zip.add("x/data/0", "\0\0\1\0\0\0\2\0\0\0\3\0"s));
  return zip.finish();
}

TEST(TorchFile, ReadsBothByteOrders) {
  EXPECT_EQ(tensor(file_with("K\1K\2\x85K\1\x85"), "t")->values, (std::vector<double>{131072, 196608}));
  EXPECT_EQ(tensor(file_with("K\1K\2\x85K\1\x85", "big"), "t")->values, (std::vector<double>{512, 768}));
  EXPECT_EQ(open_error(file_with("K\1K\2\x85K\1\x85", "middle")), "torch: byteorder must be little or big");
}

TEST(TorchFile, ViewsOutsideTheirStorageAreErrors) {
  EXPECT_EQ(tensor(file_with("K\1K\3\x85K\1\x85"), "t").error().message, "t: the tensor [3] reaches element 3 of a storage of 3");
  EXPECT_EQ(tensor(file_with("K\1K\2\x85K\1K\1\x86"), "t").error().message, "t: the tensor has 1 extents and 2 strides");
  EXPECT_EQ(tensor(file_with("J\xff\xff\xff\xffK\2\x85K\1\x85"), "t").error().message,
            "t: the tensor's offset must be a whole number >= 0");
  EXPECT_EQ(tensor(file_with("K\1K\2\x85J\xff\xff\xff\xff\x85"), "t").error().message,
            "t: the tensor's strides must be a tuple of at most 8 whole numbers >= 0");
  EXPECT_TRUE(
      tensor(file_with("K\1K\3\x85K\1\x85", "little", "LongStorage"), "t").error().message.starts_with("t: the tensor [3] reaches"));
  EXPECT_EQ(tensor(file_with("K\1K\1\x85K\1\x85", "little", "LongStorage"), "t").error().message,
            "t: the storage data/0 has 12 bytes; 3 elements of int64 need 24");
}

TEST(TorchFile, AFewBytesDoNotBecomeGigabytes) {
  using namespace std::string_literals;
  EXPECT_EQ(tensor(file_with("K\1J\0\0\0\2\x85K\0\x85"s), "t").error().code, ErrorCode::kResourceExhausted);
  EXPECT_EQ(tensor(file_with("K\1J\0\0\0\x7f\x85K\0\x85"s), "t").error().code, ErrorCode::kResourceExhausted);
}

TEST(TorchFileWriter, WritesWhatTheReaderReads) {
  TorchValue::Dict fields;
  fields.emplace_back("rank", TorchValue{std::int64_t{3}});
  fields.emplace_back("none", TorchValue{});
  fields.emplace_back("rate", TorchValue{0.25});
  for (const TorchDtype dtype : {TorchDtype::kBool, TorchDtype::kUint8, TorchDtype::kInt8, TorchDtype::kInt16, TorchDtype::kInt32,
                                 TorchDtype::kInt64, TorchDtype::kFloat32, TorchDtype::kFloat64})
    fields.emplace_back(name_of(dtype), TorchValue{TorchTensor{dtype, {{1, 2}, {0, 1}}}});
  const auto bytes = write_torch_file({fields});
  ASSERT_TRUE(bytes) << bytes.error().message;
  for (std::size_t i = 3; i < fields.size(); ++i)
    EXPECT_EQ(*tensor(*bytes, fields[i].key), (NumberArray{{1, 2}, {0, 1}})) << fields[i].key;
  const auto file = TorchFile::open(*bytes);
  EXPECT_EQ(file->pickle().field(file->root(), "rank")->integer, 3);
  EXPECT_EQ(file->pickle().field(file->root(), "rate")->real(), 0.25);
}

TEST(TorchFileWriter, RefusesWhatATypeCannotHold) {
  const auto error = [](TorchDtype dtype, double value) {
    const auto bytes = write_torch_file({TorchTensor{dtype, {{1}, {value}}}});
    return bytes ? std::string("no error") : bytes.error().message;
  };
  EXPECT_EQ(error(TorchDtype::kInt32, 2147483647), "no error");
  EXPECT_EQ(error(TorchDtype::kInt32, 2147483648), "torch: value 0 of a tensor is no int32: 2147483648");
  EXPECT_EQ(error(TorchDtype::kInt64, 0.5), "torch: value 0 of a tensor is no int64: 0.5");
  EXPECT_EQ(error(TorchDtype::kInt64, 0x1p63), "torch: value 0 of a tensor is no int64: 9.223372036854776e+18");
  EXPECT_EQ(error(TorchDtype::kUint8, -1), "torch: value 0 of a tensor is no uint8: -1");
  EXPECT_FALSE(write_torch_file({TorchTensor{TorchDtype::kInt64, {{2}, {1}}}}));
  EXPECT_FALSE(write_torch_file({TorchValue::Dict{{"a", {}}, {"a", {}}}}));
}

}  // namespace
}  // namespace flexpert::codec
