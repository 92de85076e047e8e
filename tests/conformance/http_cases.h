#pragma once

#include <string>
#include <vector>

namespace flexpert::conformance {

/// One case of llhttp's suite: a message as bytes on the wire, and what llhttp says of it.
struct HttpCase {
  std::string name;      ///< FILE: heading
  std::string input;
  bool response = false;
  bool lenient = false;  ///< llhttp's log was made with a lenient flag on, which we have not
  bool finish = false;   ///< the connection ends behind the input
  bool skip_body = false;///< answers a HEAD request
  bool refused = false;  ///< the log ends in an error that is no pause
};

/// Reads every Markdown file under `folder` (data/conformance/http/test). Empty if there are none.
std::vector<HttpCase> read_http_cases(const std::string& folder);

enum class HttpVerdict { kSame, kStricter, kLaxer };

struct HttpJudgement {
  HttpVerdict verdict = HttpVerdict::kSame;
  std::string reason;  ///< what our parser says, where it refuses
};

/// Returns the case with a Host field in its first head, where it is a request without one: so that the lack of it, which we refuse, does not
/// hide what the case is about.
HttpCase with_host(HttpCase http_case);

/// Parses the case in pieces of `piece` bytes (0: all at once). A lenient case that we take is laxer only if llhttp's lenient parser refuses it.
HttpJudgement judge(const HttpCase& http_case, std::size_t piece);

}  // namespace flexpert::conformance
