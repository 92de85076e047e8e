#include "integration/running_program.h"

#include <fstream>

#include <gtest/gtest.h>

namespace flexpert::integration {

RunningProgram::RunningProgram(net::EventLoop& loop, std::vector<std::string> arguments, std::vector<std::string> environment) : loop_(loop) {
  net::ChildProcessOptions options;
  options.argv = std::move(arguments);
  options.argv.insert(options.argv.begin(), FLEXPERT_PROGRAM);
  options.extra_environment = std::move(environment);
  options.on_line = [this](std::string_view line) { lines_.emplace_back(line); };
  auto child = net::ChildProcess::spawn(loop, std::move(options), [this](net::ExitStatus status) { exit_ = status; });
  if (child)
    child_ = std::move(*child);
  else
    ADD_FAILURE() << child.error().message;
}

std::string RunningProgram::wait_for_line(const std::string& text, Duration deadline) {
  std::string found;
  run_until(loop_, deadline, [&] {
    for (const std::string& line : lines_)
      if (line.find(text) != std::string::npos) found = line;
    return !found.empty() || exit_.has_value();
  });
  return found;
}

std::optional<net::ExitStatus> RunningProgram::wait_for_exit(Duration deadline) {
  run_until(loop_, deadline, [&] { return exit_.has_value(); });
  return exit_;
}

std::string RunningProgram::output() const {
  std::string text;
  for (const std::string& line : lines_) text += line + '\n';
  return text;
}

bool run_until(net::EventLoop& loop, Duration deadline, const std::function<bool()>& condition) {
  const SystemClock clock;
  const TimePoint end = clock.now() + deadline;
  while (!condition()) {
    if (clock.now() >= end) return false;
    loop.run_once(Milliseconds(10));
  }
  return true;
}

Finished run_program(const std::vector<std::string>& arguments, const std::vector<std::string>& environment) {
  net::EventLoop loop;
  RunningProgram program(loop, arguments, environment);
  const auto status = program.wait_for_exit(Seconds(60));
  return {status && status->signal == 0 ? status->code : -1, program.output()};
}

bool is_running(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string stat;
  if (!std::getline(file, stat)) return false;
  // "PID (name) STATE ...": the name may contain anything but ends with the last parenthesis.
  const std::size_t end = stat.rfind(')');
  return end != std::string::npos && end + 2 < stat.size() && stat[end + 2] != 'Z' && stat[end + 2] != 'X';
}

}  // namespace flexpert::integration
