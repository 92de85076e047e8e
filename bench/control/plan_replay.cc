// Every cycle of the journals that live-scaling left is planned again, from the configuration and the state in the journal
// alone: the plans are the same bit for bit.
#include <algorithm>
#include <cstdio>
#include <filesystem>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "figures.h"
#include "live/processes.h"

namespace flexpert::bench {
namespace {

namespace json = boost::json;

Result<json::value> replay(net::EventLoop& loop, const std::string& program, const std::string& journal) {
  FLEXPERT_ASSIGN(const auto process, LiveProcess::start(loop, {program, "replay", journal, "--json"}));
  FLEXPERT_TRY(run_until(loop, [&] { return process->ended(); }, Seconds(120), "flexpert replay"));
  json::error_code error;
  json::value counts = json::parse(process->lines().empty() ? "" : process->lines().front(), error);
  if (error || !counts.is_object()) return fail(ErrorCode::kDataLoss, "{}: {}", journal, process->lines().empty() ? "no output" : process->lines().front());
  for (std::size_t i = 1; i < process->lines().size(); ++i) fmt::print("  {}: {}\n", journal, process->lines()[i]);
  return counts;
}

int run(int argc, char** argv) {
  Figures figures("plan-replay", "`flexpert replay` on every journal of live-scaling; plans compared as text with exact numbers");
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s FLEXPERT_PROGRAM JOURNAL_FOLDER\n", argv[0]);
    return 2;
  }
  std::vector<std::string> journals;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(argv[2], error))
    if (entry.path().extension() == ".db") journals.push_back(entry.path().string());
  std::sort(journals.begin(), journals.end());
  net::EventLoop loop;
  std::uint64_t cycles = 0;
  std::uint64_t starts = 0;
  bool finished = !journals.empty();
  for (const std::string& journal : journals) {
    const std::string name = std::filesystem::path(journal).stem().string();
    const auto counts = replay(loop, argv[1], journal);
    if (!counts) {
      finished = false;
      std::printf("%s: broken off: %s\n", name.c_str(), counts.error().message.c_str());
      continue;
    }
    const auto count = [&](const char* field) { return counts->at(field).to_number<std::uint64_t>(); };
    cycles += count("cycles");
    starts += count("starts");
    const auto different = static_cast<double>(count("cycles") - count("identical"));
    figures.hold(fmt::format("{}: plans of {} cycles that differ", name, count("cycles")), different, "", "0", different == 0 && count("cycles") > 0);
    const auto states = static_cast<double>(count("checkpoints") - count("same_states"));
    figures.hold(name + ": checkpoints whose state differs", states, "", "0", states == 0);
  }
  figures.note("cycles replayed", static_cast<double>(cycles), "");
  figures.note("starts of a controller in them", static_cast<double>(starts), "");
  return figures.verdict(finished);
}

}  // namespace
}  // namespace flexpert::bench

int main(int argc, char** argv) { return flexpert::bench::run(argc, argv); }
