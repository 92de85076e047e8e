#include "authorization/program.h"

#include "expert_fleet.h"

namespace flexpert::bench {

Result<std::unique_ptr<Program>> Program::start(net::EventLoop& loop, std::vector<std::string> argv) {
  std::unique_ptr<Program> program(new Program());
  Program* const self = program.get();
  std::string said;
  const std::string name = argv.size() > 1 ? argv[1] : argv[0];
  net::ChildProcessOptions child;
  child.argv = std::move(argv);
  child.on_line = [self](std::string_view line) {
    if (self->lines_.size() < 50) self->lines_.emplace_back(line);
  };
  FLEXPERT_ASSIGN(program->process_, net::ChildProcess::spawn(loop, std::move(child), [self](net::ExitStatus) { self->process_.reset(); }));
  constexpr std::string_view kListening = " listening on ";
  const auto find = [&] {
    for (const std::string& line : self->lines_)
      if (const std::size_t at = line.find(kListening); at != std::string::npos) {
        const std::string_view rest = std::string_view(line).substr(at + kListening.size());
        said = rest.substr(0, rest.find_first_of(", "));
      }
    return !said.empty() || self->process_ == nullptr;
  };
  FLEXPERT_TRY(run_until(loop, find, Seconds(60), name + " to listen"));
  if (said.empty()) return fail(ErrorCode::kUnavailable, "{} ended at its start: {}", name, self->lines_.empty() ? "it said nothing"
      : self->lines_.back());
  if (said.starts_with("http://")) said = said.substr(7);
  FLEXPERT_ASSIGN(program->address_, net::Address::parse(said));
  return program;
}

}  // namespace flexpert::bench
