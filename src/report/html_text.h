#pragma once

#include <string>
#include <string_view>

namespace flexpert::report {

/// Returns text as it may stand between tags and inside quoted attributes: & < > " ' become references, control characters
/// other than tab and newline become U+FFFD. Bytes that are not UTF-8 become U+FFFD too.
std::string html_escaped(std::string_view text);

/// Returns a JSON string with its quotes that may stand inside a <script> element: < > & and the line separators
/// U+2028, U+2029 are written as \u escapes, so that no text can end the element.
std::string script_string(std::string_view text);

}  // namespace flexpert::report
