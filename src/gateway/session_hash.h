#pragma once

#include <string_view>

#include "codec/http1_view.h"
#include "gateway/caller.h"
#include "gateway/model_pool.h"
#include "routing/endpoints.h"

namespace flexpert::gateway {

/// Fills in what a pool's policy chooses by, where it chooses by a hash: the beginning of the prompt, or the session that the configured
/// header names, else the caller. Both are the tenant's own: another tenant's same text goes another way. They choose among servers that
/// the caller may use, and never widen that choice. `prompt`: as JSON text.
void choose_hashes(routing::PickRequest& request, ModelPool& pool, const Caller& caller, const codec::Http1RequestView& head, std::string_view prompt);

}  // namespace flexpert::gateway
