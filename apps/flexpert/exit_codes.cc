#include "flexpert/exit_codes.h"

#include <cstdio>
#include <string>

#include <fmt/format.h>

namespace flexpert::app {

int fail_with(std::string_view command, std::string_view message, int code) {
  std::string line(message);
  for (char& c : line)
    if (c == '\n') c = ' ';
  fmt::print(stderr, "flexpert {}: {}\n", command, line);
  return code;
}

int fail_with(std::string_view command, const Error& error) { return fail_with(command, error.message, kExitFailure); }

}  // namespace flexpert::app
