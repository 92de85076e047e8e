#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/clock.h"
#include "base/result.h"
#include "codec/internal_grant.h"
#include "crypto/digest.h"
#include "crypto/hmac_key.h"
#include "gateway/caller.h"

namespace flexpert::gateway {

/// Signs what a caller may do with a model, for our own model servers: the value of X-Flexpert-Grant (codec::kInternalGrantField).
/// What stays the same from request to request of a caller and a model is encoded once; a request then costs one HMAC and a copy,
/// and no allocation once `out` has grown. Belongs to one thread.
class GrantSigner {
 public:
  /// How long a grant holds: what may pass between its signing and its arrival at the engine.
  static constexpr Duration kLifetime = Seconds(60);

  /// `answer_within`: so long the gateway waits for an answer to begin, and no engine need begin on a request later; 0 = for ever.
  explicit GrantSigner(std::string_view secret, Duration answer_within = Duration::zero());

  struct Request {
    std::string_view request_id;
    crypto::Digest body_sha256{};       ///< of the body as it is sent, after every splice
    std::int64_t unix_ms = 0;           ///< now
    std::int64_t deadline_unix_ms = 0;  ///< the engine does not begin it later; 0 = by answer_within
  };
  /// Appends the field's value to `out`. Errors: kPermissionDenied if the caller has no right on `model`; kInvalidArgument if its
  /// rights are longer than a field can be (treat both as a refusal). Then nothing was appended.
  Result<void> append(std::string& out, const Caller& caller, std::string_view model, const Request& request);
  /// Returns a value for GET /v1/models and GET /v1/models/NAME of a server whose model's name is not known; it allows nothing else.
  [[nodiscard]] std::string for_probe(std::int64_t unix_ms) const;

 private:
  struct Key {
    const auth::Grant* grant = nullptr;
    std::string model;
  };
  struct KeyView {
    const auth::Grant* grant = nullptr;
    std::string_view model;
  };
  struct KeyHash {
    using is_transparent = void;
    std::size_t operator()(const KeyView& key) const;
    std::size_t operator()(const Key& key) const { return (*this)(KeyView{key.grant, key.model}); }
  };
  struct KeyEqual {
    using is_transparent = void;
    static KeyView view(const Key& key) { return {key.grant, key.model}; }
    static KeyView view(const KeyView& key) { return key; }
    template <class A, class B>
    bool operator()(const A& a, const B& b) const {
      return view(a).grant == view(b).grant && view(a).model == view(b).model;
    }
  };
  struct Prepared {
    std::shared_ptr<const auth::Grant> grant;  ///< so that its address names no other one
    codec::InternalGrantForm form;
  };

  Result<const codec::InternalGrantForm*> form(const Caller& caller, std::string_view model);
  Result<void> sign(std::string& out, const codec::InternalGrantForm& form, const codec::InternalGrantRequest& request) const;

  crypto::HmacKey key_;
  std::int64_t answer_within_ms_;
  std::unordered_map<Key, Prepared, KeyHash, KeyEqual> prepared_;
};

}  // namespace flexpert::gateway
