#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace flexpert::http {

/// Header fields in the order received; names compare without case.
class Headers {
 public:
  Headers() = default;
  explicit Headers(std::vector<std::pair<std::string, std::string>> fields) : fields_(std::move(fields)) {}

  void add(std::string name, std::string value) { fields_.emplace_back(std::move(name), std::move(value)); }
  /// Replaces every field of that name by one.
  void set(std::string name, std::string value);
  void remove(std::string_view name);
  /// Returns the first value of that name.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const;
  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& fields() const { return fields_; }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

/// Compares ASCII text without case.
bool equal_ignoring_case(std::string_view a, std::string_view b);

struct Request {
  std::string method{};
  std::string target{};  ///< as received: path and query
  Headers headers{};
  std::string body{};
  std::string peer{};    ///< address of the client, for logs

  [[nodiscard]] std::string_view path() const { return std::string_view(target).substr(0, target.find('?')); }
};

struct Response {
  int status = 200;
  Headers headers{};
  std::string body{};
};

/// Returns the standard reason phrase, or "Status".
std::string_view reason_phrase(int status);

/// Makes a response with a Content-Type of application/json.
Response json_response(int status, std::string body);
/// Makes an error in OpenAI's shape: {"error":{"message","type","param","code"}}. `param` and `code` may be empty (null).
Response openai_error(int status, std::string_view message, std::string_view type, std::string_view param = {}, std::string_view code = {});

}  // namespace flexpert::http
