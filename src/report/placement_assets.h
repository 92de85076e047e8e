#pragma once

namespace flexpert::report {

/// The placement page's style sheet and script (placement_page.css, placement_page.js), compiled in.
const char* placement_style();
const char* placement_script();

}  // namespace flexpert::report
