#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

/// Options and positional arguments described without CLI11, so that command_line.cc alone pays for that library.
namespace flexpert::app {

struct Argument {
  std::string name;          ///< "--devices", "-o,--out"; without dashes: positional
  std::string type;          ///< what --help calls its value; empty: a flag
  std::string help;
  bool required = false;
  bool repeated = false;     ///< may be given several times
  std::string default_text;
  std::function<std::string(const std::string&)> take;  ///< stores one value; returns what is wrong with it, or ""
};
using Arguments = std::vector<Argument>;

/// Each makes an argument that writes into `target`, whose value now is the default that --help shows.
namespace argument {

Argument text(std::string name, std::string& target, std::string help, std::string type = "TEXT");
/// May be given several times.
Argument texts(std::string name, std::vector<std::string>& target, std::string help, std::string type = "TEXT");
/// `store` receives a number in [least, most].
Argument number(std::string name, double least, double most, bool whole, std::string default_text, std::string help,
                std::function<void(double)> store);
Argument count(std::string name, std::uint32_t& target, double least, double most, std::string help);
Argument count(std::string name, std::optional<std::uint32_t>& target, double least, double most, std::string help);
Argument real(std::string name, double& target, double least, double most, std::string help);
Argument real(std::string name, std::optional<double>& target, double least, double most, std::string help);
/// N,N,...
Argument list(std::string name, std::vector<std::uint32_t>& target, double most, std::string help);
Argument choice(std::string name, std::string& target, std::vector<std::string> known, std::string help);
Argument flag(std::string name, bool& target, std::string help);
Argument bytes(std::string name, std::uint64_t& target, std::string help);
Argument required(Argument argument);

}  // namespace argument

}  // namespace flexpert::app
