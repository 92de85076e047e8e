#pragma once

#include <string_view>

namespace flexpert {

/// Reports a broken invariant on stderr and aborts. For bugs of ours only: bad input returns an Error.
[[noreturn]] void check_failed(const char* file, int line, const char* condition, std::string_view message);

}  // namespace flexpert

/// Aborts with file, line and message unless `condition` holds, in every build type.
#define FLEXPERT_CHECK(condition, message)                                            \
  do {                                                                                \
    if (!(condition)) ::flexpert::check_failed(__FILE__, __LINE__, #condition, message); \
  } while (false)
