#include "flexpert/argument.h"

#include <fmt/format.h>

#include "flexpert/place_values.h"

namespace flexpert::app::argument {

namespace {

std::string shortest(double value) { return fmt::format("{:.15g}", value); }

}  // namespace

Argument text(std::string name, std::string& target, std::string help, std::string type) {
  return {std::move(name), std::move(type), std::move(help), false, false, target, [&target](const std::string& given) {
            target = given;
            return std::string();
          }};
}

Argument texts(std::string name, std::vector<std::string>& target, std::string help, std::string type) {
  return {std::move(name), std::move(type), std::move(help), false, true, "", [&target](const std::string& given) {
            target.push_back(given);
            return std::string();
          }};
}

Argument number(std::string name, double least, double most, bool whole, std::string default_text, std::string help,
                     std::function<void(double)> store) {
  return {std::move(name), whole ? "N" : "NUMBER", std::move(help), false, false, std::move(default_text), [=](const std::string& given) {
            double value = 0;
            std::string wrong = parse_number(given, least, most, whole, value);
            if (wrong.empty()) store(value);
            return wrong;
          }};
}

Argument count(std::string name, std::uint32_t& target, double least, double most, std::string help) {
  return number(std::move(name), least, most, true, std::to_string(target), std::move(help),
                [&target](double v) { target = static_cast<std::uint32_t>(v); });
}

Argument count(std::string name, std::optional<std::uint32_t>& target, double least, double most, std::string help) {
  return number(std::move(name), least, most, true, "", std::move(help), [&target](double v) { target = static_cast<std::uint32_t>(v); });
}

Argument real(std::string name, double& target, double least, double most, std::string help) {
  return number(std::move(name), least, most, false, shortest(target), std::move(help), [&target](double v) { target = v; });
}

Argument real(std::string name, std::optional<double>& target, double least, double most, std::string help) {
  return number(std::move(name), least, most, false, "", std::move(help), [&target](double v) { target = v; });
}

Argument list(std::string name, std::vector<std::uint32_t>& target, double most, std::string help) {
  return {std::move(name), "N,N,...", std::move(help), false, false, "", [&target, most](const std::string& given) {
            return parse_whole_list(given, 0, most, target);
          }};
}

Argument choice(std::string name, std::string& target, std::vector<std::string> known, std::string help) {
  return {std::move(name), "NAME", std::move(help), false, false, target, [&target, known](const std::string& given) {
            return parse_choice(given, known, target);
          }};
}

Argument flag(std::string name, bool& target, std::string help) {
  return {std::move(name), "", std::move(help), false, false, "", [&target](const std::string&) { target = true; return std::string(); }};
}

Argument bytes(std::string name, std::uint64_t& target, std::string help) {
  return {std::move(name),
          "BYTES",
          std::move(help),
          false,
          false,
          "",
          [&target](const std::string& given) { return parse_bytes(given, target); }};
}

Argument required(Argument argument) {
  argument.required = true;
  argument.default_text.clear();
  return argument;
}

}  // namespace flexpert::app::argument
