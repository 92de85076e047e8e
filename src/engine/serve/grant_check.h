#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "codec/internal_grant.h"
#include "codec/openai_request.h"
#include "crypto/hmac_key.h"
#include "engine/model/expert_mask.h"
#include "engine/serve/served_model.h"
#include "http/message.h"

namespace flexpert::engine {

/// Which calls need a grant.
enum class GrantScope : std::uint8_t {
  kOpen,   ///< probes, metrics, the controller's calls: whoever reaches the listener
  kName,   ///< what the model is called: any grant of ours, also one that names no model
  kModel,  ///< whatever computes: a grant for the served model
};

/// What a request may do here.
struct RequestRights {
  ExpertSet forbidden;
  std::string rights_digest;           ///< empty: none was said
  std::optional<TimePoint> deadline;   ///< it is not begun later; the grant's, and 5 s for clocks that differ
};

/// Decides whether requests come from our gateway, by the signed X-Flexpert-Grant field. Belongs to the loop's thread.
class GrantCheck {
 public:
  /// `model` must outlive it. Without `model.internal_secret` nothing needs a grant, and what bears one with restricted rights is
  /// refused: a grant that cannot be verified is not acted upon, nor are its rights overlooked.
  explicit GrantCheck(const ServedModel& model);

  /// Errors: 401, the same whatever is wrong: no field or several, a bad signature, expired (5 s leeway), of another body or
  /// model; 403 where restricted rights cannot be kept for want of a secret.
  codec::ApiResult<RequestRights> check(const http::Request& request, GrantScope scope) const;

  /// Returns the mask for a generation; null: every expert may be used. Error: 403 if these rights leave a layer no expert.
  codec::ApiResult<std::shared_ptr<const ExpertMask>> mask(const RequestRights& rights);

 private:
  struct Kept {
    ExpertSet forbidden;
    std::shared_ptr<const ExpertMask> mask;
  };

  [[nodiscard]] std::optional<RequestRights> verified(const http::Request& request, std::string_view value, GrantScope scope) const;

  const ServedModel& model_;
  std::optional<crypto::HmacKey> key_;
  std::unordered_map<std::string, Kept> masks_;  ///< by rights digest
};

}  // namespace flexpert::engine
