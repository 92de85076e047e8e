#include <fmt/format.h>

#include "flexpert/commands.h"
#include "flexpert/exit_codes.h"
#include "flexpert/pack_maker.h"

namespace flexpert::app {

namespace {

Result<void> verify_pack(const std::string& path) {
  FLEXPERT_ASSIGN(const auto pack, engine::PackFile::open(path));
  FLEXPERT_TRY(pack->verify());
  fmt::print("verified: {} layers of {} experts, model {}: {}\n", pack->geometry().layers, pack->geometry().experts, pack->model_fingerprint(), path);
  return {};
}

}  // namespace

int run_pack(const PackOptions& options) {
  if (options.model.empty() && !options.verify)
    return fail_with("pack", "--model DIR is needed to make a pack; give --verify alone to check one", kExitUsage);
  if (!options.model.empty())
    if (auto made = make_pack(options.model, options.output); !made) return fail_with("pack", made.error());
  if (options.verify)
    if (auto verified = verify_pack(options.output); !verified) return fail_with("pack", verified.error());
  return kExitOk;
}

}  // namespace flexpert::app
