#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"

namespace flexpert::codec {

/// Tells whether `bytes` begin as a gzip file does.
bool is_gzip(std::string_view bytes);

/// Returns the contents of a gzip file of one or several members, at most `max_bytes`. Errors: kResourceExhausted when
/// there is more, kDataLoss when it is truncated, damaged or followed by bytes that are no member, kInvalidArgument
/// when it is no gzip file.
Result<std::string> gunzip(std::string_view bytes, std::size_t max_bytes);

/// Returns the `size` bytes that a raw deflate stream (that of zip) holds. Errors: kDataLoss when the stream is damaged,
/// holds another number of bytes, or ends before `bytes` do. Allocates `size` bytes: the caller bounds it.
Result<std::string> inflate_raw(std::string_view bytes, std::size_t size);

/// Returns `bytes` as a gzip file of one member, without a time, so that the same bytes give the same file.
Result<std::string> gzip(std::string_view bytes);

}  // namespace flexpert::codec
