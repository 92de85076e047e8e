#include <fmt/format.h>

#include "common/figures.h"
#include "conformance/http_cases.h"
#include "conformance/json_cases.h"

namespace {

using namespace flexpert;

void judge_http(const std::string& folder, bench::Figures& figures) {
  int same = 0;
  int stricter = 0;
  int laxer = 0;
  const std::vector<conformance::HttpCase> cases = conformance::read_http_cases(folder);
  for (const conformance::HttpCase& http_case : cases) {
    // The lack of a Host field, which we refuse, is not to hide what a case is about.
    const conformance::HttpCase with_host = conformance::with_host(http_case);
    const conformance::HttpJudgement judged = conformance::judge(with_host, 0);
    const bool lax = judged.verdict == conformance::HttpVerdict::kLaxer || conformance::judge(http_case, 0).verdict == conformance::HttpVerdict::kLaxer ||
                     conformance::judge(with_host, 1).verdict == conformance::HttpVerdict::kLaxer;
    if (lax) {
      ++laxer;
      fmt::print("laxer: {}\n", http_case.name);
    } else if (judged.verdict == conformance::HttpVerdict::kStricter) {
      ++stricter;
      fmt::print("stricter: {}{}: {}\n", http_case.name, http_case.lenient ? " (its log is of a lenient mode)" : "", judged.reason);
    } else {
      ++same;
    }
  }
  figures.note("llhttp_same", same, "cases");
  figures.note("llhttp_stricter", stricter, "cases");
  figures.hold("llhttp_laxer", laxer, "cases", "0 of 251", laxer == 0 && cases.size() == 251);
}

void judge_json(const std::string& folder, bench::Figures& figures) {
  gateway::RequestScanner scanner;
  int right = 0;
  for (const conformance::JsonCase& json_case : conformance::read_json_cases(folder)) {
    const bool taken = conformance::gateway_takes(scanner, json_case);
    if (json_case.kind == 'i') continue;
    if (taken == (json_case.kind == 'y')) {
      ++right;
    } else {
      fmt::print("wrong: {} was {}\n", json_case.name, taken ? "taken" : "refused");
    }
  }
  figures.hold("json", right, "cases", "283", right == 283);
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run_folder_measurement(argc, argv, "gateway-conformance",
                                       "public suites against our parsers: llhttp's HTTP/1.x cases (whole and byte by byte), JSONTestSuite inside a request",
                                       [](const std::string& folder, bench::Figures& figures) -> Result<void> {
                                         judge_http(folder + "/conformance/http/test", figures);
                                         judge_json(folder + "/conformance/json/test_parsing", figures);
                                         return {};
                                       });
}
