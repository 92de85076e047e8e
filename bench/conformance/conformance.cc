#include <fmt/format.h>

#include "common/figures.h"
#include "conformance/http_cases.h"
#include "conformance/json_cases.h"
#include "conformance/wire_cases.h"
#include "conformance/wycheproof_cases.h"

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

void judge_wire(const std::string& file, bench::Figures& figures) {
  int right = 0;
  const std::vector<conformance::WireCase> cases = conformance::read_wire_cases(file);
  for (const conformance::WireCase& wire_case : cases) {
    const std::string whole = conformance::wire_verdict(wire_case, 0);
    if (whole == wire_case.verdict && conformance::wire_verdict(wire_case, 1) == whole) {
      ++right;
    } else {
      fmt::print("wrong: {} ({}): {} instead of {}\n", wire_case.name, wire_case.answer ? "answer" : "request", whole, wire_case.verdict);
    }
  }
  figures.hold("wire", right, "cases", "401", right == 401 && cases.size() == 401);
}

/// One suite of tokens or tags. Cases that contradict the suite itself are shown, and count neither as right nor as wrong.
Result<void> judge_wycheproof(const std::string& folder, const std::string& figure, const std::string& suite, int expected,
                              bench::Figures& figures) {
  FLEXPERT_ASSIGN(const std::vector<conformance::WycheproofCase> cases, conformance::read_wycheproof_cases(folder, suite));
  const bool signatures = suite == "json_web_signature_test";
  int right = 0;
  int disputed = 0;
  for (const conformance::WycheproofCase& test : cases) {
    const bool taken = test.tag.empty() ? conformance::takes_token(test) : conformance::takes_tag(test);
    const auto& disputes = conformance::disputed_signatures();
    if (const auto dispute = disputes.find(test.id); signatures && dispute != disputes.end()) {
      ++disputed;
      fmt::print("contradicts its own suite: {} {} ({}): {}; it was {}\n", suite, test.id, test.comment, dispute->second,
                 taken ? "taken" : "refused");
    } else if (taken == conformance::to_be_taken(test)) {
      ++right;
    } else {
      fmt::print("wrong: {} {} ({}) was {}\n", suite, test.id, test.comment, taken ? "taken" : "refused");
    }
  }
  if (signatures) figures.note(figure + "_self_contradicting", disputed, "cases");
  const bool holds = right == expected && right + disputed == static_cast<int>(cases.size());
  figures.hold(figure, right, "cases", fmt::format("{} of {}", expected, expected + disputed), holds);
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run_folder_measurement(argc, argv, "gateway-conformance",
                                       "public suites against our parsers: llhttp's HTTP/1.x cases (whole and byte by byte), our table of what "
                                       "servers disagree on, JSONTestSuite inside a request, wycheproof's signatures, keys and tags",
                                       [](const std::string& folder, bench::Figures& figures) -> Result<void> {
                                         judge_http(folder + "/conformance/http/test", figures);
                                         judge_wire(folder + "/conformance/wire/messages.tsv", figures);
                                         judge_json(folder + "/conformance/json/test_parsing", figures);
                                         const std::string wycheproof = folder + "/conformance/wycheproof";
                                         FLEXPERT_TRY(judge_wycheproof(wycheproof, "wycheproof_jws", "json_web_signature_test", 397, figures));
                                         FLEXPERT_TRY(judge_wycheproof(wycheproof, "wycheproof_jwk", "json_web_key_test", 26, figures));
                                         FLEXPERT_TRY(judge_wycheproof(wycheproof, "wycheproof_jws_and_jwk", "json_web_crypto_test", 83, figures));
                                         return judge_wycheproof(wycheproof, "wycheproof_hmac_sha256", "hmac_sha256_test", 174, figures);
                                       });
}
