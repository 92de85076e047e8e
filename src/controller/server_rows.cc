#include "controller/server_rows.h"

#include <charconv>

namespace flexpert::controller {

std::optional<std::uint64_t> rows_of_metrics(std::string_view text) {
  static constexpr std::string_view kName = "\nflexpert_expert_server_rows_total ";
  const std::size_t at = text.find(kName);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view rest = text.substr(at + kName.size());
  double value = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
  if (error != std::errc{} || !(value >= 0) || value > 9e15) return std::nullopt;
  return static_cast<std::uint64_t>(value);
}

void ServerRows::poll(const std::vector<Target>& targets, const OnRows& on_rows) {
  if (missing_ > 0) return;
  missing_ = targets.size();
  for (const Target& target : targets) {
    caller_.call(target.address, "GET", "/metrics", "", [this, id = target.id, on_rows](Result<std::string> body) {
      --missing_;
      if (!body) return;  // it starts, stops or has died, which others notice
      if (const auto rows = rows_of_metrics(*body)) on_rows(id, *rows);
    });
  }
}

}  // namespace flexpert::controller
