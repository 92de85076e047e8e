#pragma once

#include <string>
#include <string_view>

#include <fmt/format.h>

#include "fleet/placement_plan.h"
#include "report/table.h"

namespace flexpert::app {

/// Writes on stdout. A failure is kept for end_of_output(): nothing throws, nothing stops half way.
void write_out(std::string_view text);

template <class... Args>
void say(fmt::format_string<Args...> format, Args&&... args) {
  write_out(fmt::format(format, std::forward<Args>(args)...));
}

/// Returns `code`, or 1 with a message if what was written could not be: a full disk. A reader that has gone (`| head`)
/// is no failure.
int end_of_output(int code);

/// Prints tables on stdout as wide as the terminal, or as wide as they need when there is none.
void print_table(const report::Table& table);
/// Prints a title in bold where colours are on.
void print_title(const std::string& title);
/// Prints the reasons, one a line.
void print_reasons(const std::vector<Reason>& reasons);

}  // namespace flexpert::app
