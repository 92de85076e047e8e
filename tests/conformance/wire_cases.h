#pragma once

#include <string>
#include <vector>

namespace flexpert::conformance {

/// One row of data/conformance/wire/messages.tsv: bytes on the wire, and what a strict reader says of them.
struct WireCase {
  std::string name;
  std::string verdict;  ///< "ok COUNT BODIES", "ok COUNT" without any body, the status of a refusal, or "cut": the end comes inside a message
  std::string input;
  bool answer = false;  ///< not a request
};

/// Reads the rows. Empty if the file is missing or has a row that is none.
std::vector<WireCase> read_wire_cases(const std::string& file);

/// Returns the verdict of our parsers on the case, given in pieces of `piece` bytes (0: all at once).
std::string wire_verdict(const WireCase& wire_case, std::size_t piece);

}  // namespace flexpert::conformance
