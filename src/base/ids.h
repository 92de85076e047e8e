#pragma once

#include <compare>
#include <functional>
#include <string>

#include <fmt/format.h>

namespace flexpert {

/// A string that names one kind of thing and does not convert to the name of another kind.
template <class Tag>
struct StrongId {
  std::string value;

  auto operator<=>(const StrongId&) const = default;
};

using InstanceId = StrongId<struct InstanceTag>;
using PoolId = StrongId<struct PoolTag>;

}  // namespace flexpert

template <class Tag>
struct std::hash<flexpert::StrongId<Tag>> {
  std::size_t operator()(const flexpert::StrongId<Tag>& id) const { return std::hash<std::string>{}(id.value); }
};

template <class Tag>
struct fmt::formatter<flexpert::StrongId<Tag>> : fmt::formatter<std::string_view> {
  template <class Context>
  auto format(const flexpert::StrongId<Tag>& id, Context& context) const {
    return fmt::formatter<std::string_view>::format(id.value, context);
  }
};
