#pragma once

#include <string>
#include <string_view>

#include "gateway/caller.h"

/// The refusals that the request path makes itself, each with its one wording.
namespace flexpert::gateway {

Refusal no_such_path(std::string_view path);
Refusal wrong_method(std::string_view path, std::string_view methods);
Refusal encoded_body();
/// Says the same of a model that does not exist and of one that the caller may not use.
Refusal no_such_model(std::string_view model);
Refusal masking_unavailable(std::string_view model);
Refusal nobody_ready(std::string_view model, int retry_after_s);
Refusal too_many_held();
Refusal upstream_timed_out();
Refusal upstream_went_away();
Refusal upstream_answered_badly();

/// Appends the fields of an answer that carries a refusal.
void append_refusal_fields(std::string& lines, const Refusal& refusal);
/// Returns its body: OpenAI's error object.
std::string refusal_body(const Refusal& refusal);

}  // namespace flexpert::gateway
