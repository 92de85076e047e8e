#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

/// Who may use which experts, worked out from the rules as docs/reference/expert-authorization.md tells them, for comparison with
/// the gateway and the engine. On purpose it shares no code with them.
namespace flexpert::bench::rules {

using Slot = std::pair<unsigned, unsigned>;  ///< layer, expert

struct Group {
  std::string name;
  bool high = false;  ///< only for who is given it
  std::vector<Slot> slots;
};

struct Principal {
  std::string name;
  bool may_use_model = true;
  std::set<std::string> given;   ///< groups of high security
  std::set<std::string> denied;  ///< groups taken away
};

/// "An expert is forbidden to a caller if any high-security group that it has no right to, or any denied group, contains it."
std::set<Slot> forbidden(const Principal& who, const std::vector<Group>& groups);

struct Verdict {
  int status = 200;                      ///< 200, 400 (nothing asked for), 403
  std::vector<std::string> goes_ahead;   ///< in the order asked
  std::vector<std::string> left_out;
};
/// "A requested group with any forbidden expert is dropped whole"; all dropped: 403.
Verdict route(const Principal& who, const std::vector<Group>& groups, const std::vector<std::string>& asked);

/// The six groups and eight principals of the measurement: groups that share experts, rights that overlap, and denial that wins.
std::vector<Group> groups();
std::vector<Principal> principals();

}  // namespace flexpert::bench::rules
