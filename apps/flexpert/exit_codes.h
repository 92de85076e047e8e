#pragma once

#include <string_view>

#include "base/result.h"

namespace flexpert::app {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailure = 1;
inline constexpr int kExitUsage = 2;

/// Writes "flexpert COMMAND: MESSAGE" as one line on stderr and returns `code`.
int fail_with(std::string_view command, std::string_view message, int code = kExitFailure);
/// The same for an Error; input that is the caller's fault still exits 1: 2 is for the command line alone.
int fail_with(std::string_view command, const Error& error);

}  // namespace flexpert::app
