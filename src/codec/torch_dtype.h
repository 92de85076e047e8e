#pragma once

#include <cstddef>
#include <string_view>

#include "base/result.h"
#include "codec/torch_file.h"

/// Element types of torch_file.cc and torch_file_writer.cc. Private to them.
namespace flexpert::codec {

struct TorchDtypeInfo {
  TorchDtype dtype;
  const char* name;
  std::size_t bytes;
  const char* storage;  ///< class in module torch; empty: an untyped storage, and the type is said apart
};

const TorchDtypeInfo& info_of(TorchDtype dtype);

/// Finds the type of a global: "torch.IntStorage" or "torch.uint16". Null when there is none.
const TorchDtypeInfo* dtype_of_storage(std::string_view global);
const TorchDtypeInfo* dtype_of_name(std::string_view global);

}  // namespace flexpert::codec
