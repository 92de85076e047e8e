#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "codec/number_array.h"

/// numpy's .npy (format versions 1 to 3) and .npz.
namespace flexpert::codec {

/// Element types that are written.
enum class NpyType { kInt32, kInt64, kFloat32, kFloat64 };

/// Tells whether `bytes` begin as a .npy file does.
bool is_npy(std::string_view bytes);

/// Reads an array of bool, (u)int8-64, float16-64, either byte order, C or Fortran order, into C order. `what` begins
/// every message. Errors: other types (objects and structures among them), a header that is not numpy's, missing or
/// surplus bytes, a whole number beyond 2^53, more than 64 Mi elements.
Result<NumberArray> parse_npy(std::string_view bytes, std::string_view what = "npy");

/// Reads the array `name` of a .npz file; without a name the only one, or else `logical_count`.
Result<NumberArray> parse_npz(std::string_view bytes, std::string_view name = "");

/// Writes version 1, C order, little-endian. Errors: a value that the type cannot hold, a shape that does not fit.
Result<std::string> write_npy(const NumberArray& array, NpyType type);

}  // namespace flexpert::codec
