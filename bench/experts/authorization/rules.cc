#include "authorization/rules.h"

namespace flexpert::bench::rules {

std::set<Slot> forbidden(const Principal& who, const std::vector<Group>& all) {
  std::set<Slot> taken;
  for (const Group& group : all) {
    const bool no_right = group.high && who.given.count(group.name) == 0;
    if (!no_right && who.denied.count(group.name) == 0) continue;
    for (const Slot& slot : group.slots) taken.insert(slot);
  }
  return taken;
}

Verdict route(const Principal& who, const std::vector<Group>& all, const std::vector<std::string>& asked) {
  Verdict verdict;
  if (asked.empty()) {
    verdict.status = 400;
    return verdict;
  }
  const std::set<Slot> taken = forbidden(who, all);
  for (const std::string& name : asked) {
    bool clean = who.may_use_model;
    for (const Group& group : all)
      if (group.name == name)
        for (const Slot& slot : group.slots)
          if (taken.count(slot) != 0) clean = false;
    (clean ? verdict.goes_ahead : verdict.left_out).push_back(name);
  }
  if (verdict.goes_ahead.empty()) verdict.status = 403;
  return verdict;
}

std::vector<Group> groups() {
  return {
      {"code", false, {{0, 3}, {1, 9}, {5, 10}}},
      {"mathematics", false, {{2, 11}, {4, 0}}},
      {"dialogue", false, {{3, 5}, {5, 17}}},      // shares an expert with "finance"
      {"finance", true, {{5, 17}, {0, 30}}},
      {"medicine", true, {{1, 1}, {2, 2}, {4, 31}}},
      {"law", true, {{2, 2}, {3, 19}}},            // shares an expert with "medicine"
  };
}

std::vector<Principal> principals() {
  return {
      {"nobody", true, {}, {}},
      {"token", true, {"finance"}, {}},
      {"reader", true, {}, {}},
      {"doctor", true, {"medicine"}, {}},
      {"lawyer", true, {"medicine", "law"}, {}},
      {"chief", true, {"finance", "medicine", "law"}, {}},
      {"suspended", true, {"finance", "medicine", "law"}, {"law", "code"}},
      {"stranger", false, {"finance"}, {}},
  };
}

}  // namespace flexpert::bench::rules
