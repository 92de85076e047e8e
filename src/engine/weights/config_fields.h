#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/fwd.hpp>

#include "base/result.h"

namespace flexpert::engine {

/// Typed, checked access to the fields of a config.json object. Errors name the field and what is allowed.
class ConfigFields {
 public:
  /// `object` must outlive this.
  explicit ConfigFields(const boost::json::object& object) : object_(&object) {}

  /// Tells whether the field is there and not null.
  [[nodiscard]] bool has(std::string_view name) const;
  /// Reads a whole number in [least, most].
  [[nodiscard]] Result<std::uint32_t> integer(std::string_view name, std::uint32_t least, std::uint32_t most) const;
  [[nodiscard]] Result<std::uint32_t> integer_or(std::string_view name, std::uint32_t least, std::uint32_t most, std::uint32_t absent) const;
  /// Reads a finite number > 0.
  [[nodiscard]] Result<double> positive_or(std::string_view name, double absent) const;
  [[nodiscard]] Result<bool> boolean_or(std::string_view name, bool absent) const;
  [[nodiscard]] Result<std::string> text_or(std::string_view name, std::string_view absent) const;
  /// Reads a list of whole numbers in [0, most]; a single number counts as a list of one, absent or null as none.
  [[nodiscard]] Result<std::vector<std::uint32_t>> integers(std::string_view name, std::uint32_t most) const;
  [[nodiscard]] Result<std::vector<std::string>> texts(std::string_view name) const;
  /// Returns the fields of an object inside this one, or nothing when it is absent or null.
  [[nodiscard]] Result<std::optional<ConfigFields>> object(std::string_view name) const;

 private:
  const boost::json::object* object_;
};

}  // namespace flexpert::engine
