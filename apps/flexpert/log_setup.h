#pragma once

#include <string>
#include <string_view>

namespace flexpert::app {

/// Sets up logging of this process. `level` is one that the command line has checked.
void configure_log(const std::string& level, std::string_view process_name);

}  // namespace flexpert::app
