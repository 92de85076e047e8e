#include "codec/torch_dtype.h"

#include <array>

namespace flexpert::codec {
namespace {

constexpr std::array<TorchDtypeInfo, 13> kTypes = {{
    {TorchDtype::kBool, "bool", 1, "BoolStorage"},
    {TorchDtype::kUint8, "uint8", 1, "ByteStorage"},
    {TorchDtype::kInt8, "int8", 1, "CharStorage"},
    {TorchDtype::kInt16, "int16", 2, "ShortStorage"},
    {TorchDtype::kUint16, "uint16", 2, ""},
    {TorchDtype::kInt32, "int32", 4, "IntStorage"},
    {TorchDtype::kUint32, "uint32", 4, ""},
    {TorchDtype::kInt64, "int64", 8, "LongStorage"},
    {TorchDtype::kUint64, "uint64", 8, ""},
    {TorchDtype::kFloat16, "float16", 2, "HalfStorage"},
    {TorchDtype::kBfloat16, "bfloat16", 2, "BFloat16Storage"},
    {TorchDtype::kFloat32, "float32", 4, "FloatStorage"},
    {TorchDtype::kFloat64, "float64", 8, "DoubleStorage"},
}};

constexpr std::string_view kModule = "torch.";

}  // namespace

const char* name_of(TorchDtype dtype) { return info_of(dtype).name; }

const TorchDtypeInfo& info_of(TorchDtype dtype) { return kTypes[static_cast<std::size_t>(dtype)]; }

const TorchDtypeInfo* dtype_of_storage(std::string_view global) {
  if (!global.starts_with(kModule)) return nullptr;
  global.remove_prefix(kModule.size());
  for (const TorchDtypeInfo& info : kTypes)
    if (*info.storage != '\0' && global == info.storage) return &info;
  return nullptr;
}

const TorchDtypeInfo* dtype_of_name(std::string_view global) {
  if (!global.starts_with(kModule)) return nullptr;
  global.remove_prefix(kModule.size());
  for (const TorchDtypeInfo& info : kTypes)
    if (global == info.name) return &info;
  return nullptr;
}

}  // namespace flexpert::codec
