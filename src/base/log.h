#pragma once

#include <string_view>
#include <utility>

#include <fmt/format.h>

/// The logging facade: lines on stderr, spdlog behind it. Safe from any thread. Never in pure modules.
namespace flexpert::log {

enum class Level { kDebug, kInfo, kWarn, kError, kOff };

/// Sets the least level that is written, and the process's name shown on each line ("gateway", "expert-3").
void configure(Level least, std::string_view process_name);
/// Tells whether `level` is written now; guards the cost of formatting.
bool enabled(Level level);
void write(Level level, std::string_view message);

template <class... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::kDebug)) write(Level::kDebug, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::kInfo)) write(Level::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::kWarn)) write(Level::kWarn, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::kError)) write(Level::kError, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace flexpert::log
