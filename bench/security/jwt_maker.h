#pragma once

#include <string>
#include <string_view>

#include "base/base64url.h"

namespace flexpert::bench::security {

/// Makes an RSA (2048) or EC (P-256) private key as PEM.
std::string make_rsa_pem();
std::string make_ec_pem();
std::string public_pem(const std::string& private_pem);
/// Returns the public half as a JWK with that kid and alg.
std::string rsa_jwk(const std::string& private_pem, std::string_view kid, std::string_view alg = "RS256");
std::string ec_jwk(const std::string& private_pem, std::string_view kid);

/// Signs HEADER.PAYLOAD (JSON texts) as the algorithm says: RS256, RS384, PS256, ES256 with a PEM, HS256 with a secret; "none" leaves the
/// signature empty.
std::string sign(std::string_view header, std::string_view payload, std::string_view algorithm, const std::string& key);
/// The signature alone, over any text.
std::string signature_of(std::string_view text, std::string_view algorithm, const std::string& key);

}  // namespace flexpert::bench::security
