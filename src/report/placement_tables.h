#pragma once

#include <cstddef>
#include <string>

#include "fleet/placement_plan.h"
#include "report/table.h"

namespace flexpert::report {

/// Returns a balancedness in four digits ("0.9987"); never rounds something uneven up to 1.
std::string balancedness_text(double balancedness);
/// Returns a share in percent ("0.13 %").
std::string percent_text(double share);
/// Returns bytes in the largest binary unit that leaves a number of at least 1 ("1.5 GiB").
std::string bytes_text(std::uint64_t bytes);
/// Returns a number with a comma between thousands.
std::string grouped(std::uint64_t number);

/// One row a figure: balancedness, worst layer, what the bound allows, gap, replicas on one device; a column of what was
/// before, unless that is null or has no layers.
Table balance_table(const Balance& after, const Balance* before, const std::string& before_name = "before",
                    const std::string& after_name = "plan");

/// One row a kind of move, with its slots and their share of all slots.
Table move_kinds_table(const MoveList& moves);

/// The first `most` moves in the order in which they can be carried out.
Table moves_table(const MoveList& moves, const ExpertLayout& layout, std::size_t most);

/// One row a number of replicas: how many (layer, expert) pairs have it.
Table replicas_table(const ExpertLayout& layout);

/// The `most` least even layers, with the bound and the busiest device.
Table layers_table(const Balance& balance, std::size_t most);

}  // namespace flexpert::report
