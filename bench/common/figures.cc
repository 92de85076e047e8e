#include "figures.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <thread>

#include <fmt/format.h>

#include "base/log.h"

namespace flexpert::bench {
namespace {

std::string first_value(const char* path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key)) continue;
    const std::size_t at = line.find_first_not_of(" \t", line.find_first_of(":=") + 1);
    std::string value = at == std::string::npos ? std::string() : line.substr(at);
    std::erase(value, '"');
    return value;
  }
  return "unknown";
}

void print(const std::string& line) {
  std::fputs((line + "\n").c_str(), stdout);
  std::fflush(stdout);
}

}  // namespace

Figures::Figures(std::string name, const std::string& method) : name_(std::move(name)) {
  const std::string memory = first_value("/proc/meminfo", "MemTotal");
  print(fmt::format("machine: {}, {} cores, {:.0f} GiB, {}, g++ {}", first_value("/proc/cpuinfo", "model name"),
                    std::thread::hardware_concurrency(), std::strtod(memory.c_str(), nullptr) / 1048576,
                    first_value("/etc/os-release", "PRETTY_NAME"), __VERSION__));
  print("method: " + method);
}

void Figures::note(const std::string& figure, double value, const std::string& unit) {
  print(fmt::format("{}.{} {:.4g} {}", name_, figure, value, unit));
}

void Figures::hold(const std::string& figure, double value, const std::string& unit, const std::string& bar, bool holds) {
  ++total_;
  if (holds) ++held_;
  print(fmt::format("{}.{} {:.6g} {} bar {}: {}", name_, figure, value, unit, bar, holds ? "holds" : "falls short"));
}

int Figures::verdict(bool finished) {
  const bool holds = finished && total_ > 0 && held_ == total_;
  print(fmt::format("{} {}/{}: {}", name_, held_, finished ? total_ : total_ + 1, holds ? "holds" : "falls short"));
  return holds ? 0 : 1;
}

int run_measurement(int argc, char** argv, const std::string& name, const std::string& method, const Measurement& measure) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s FLEXPERT_PROGRAM MODEL_FOLDER\n", argv[0]);
    return 2;
  }
  log::configure(log::Level::kError, name);  // killed servers are what is measured, not news
  Figures figures(name, method);
  const auto done = measure(argv[1], argv[2], figures);
  if (!done) std::fprintf(stderr, "%s: %s\n", name.c_str(), done.error().message.c_str());
  return figures.verdict(done.has_value());
}

int run_folder_measurement(int argc, char** argv, const std::string& name, const std::string& method, const FolderMeasurement& measure) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s DATA_FOLDER\n", argv[0]);
    return 2;
  }
  Figures figures(name, method);
  const auto done = measure(argv[1], figures);
  if (!done) std::fprintf(stderr, "%s: %s\n", name.c_str(), done.error().message.c_str());
  return figures.verdict(done.has_value());
}

double quantile(std::vector<double> samples, double q) {
  if (samples.empty()) return 0;
  const auto at = static_cast<std::size_t>(std::clamp(std::ceil(q * static_cast<double>(samples.size())) - 1, 0.0,
                                                      static_cast<double>(samples.size() - 1)));
  std::nth_element(samples.begin(), samples.begin() + static_cast<std::ptrdiff_t>(at), samples.end());
  return samples[at];
}

}  // namespace flexpert::bench
