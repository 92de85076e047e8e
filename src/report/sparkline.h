#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace flexpert::report {

/// Draws the last `width` values, one block character each, scaled from 0 to `top` (0: to the largest of them). Values that
/// are not positive are drawn as the lowest block.
std::string sparkline(std::span<const double> values, std::size_t width, double top = 0);

/// Draws a bar of `width` columns, `fraction` of it filled (clamped to 0..1).
std::string bar(double fraction, std::size_t width);

}  // namespace flexpert::report
