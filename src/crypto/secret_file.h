#pragma once

#include <string>

#include "base/result.h"

/// Secrets that processes of one host share through a file: one line of text.
namespace flexpert::crypto {

/// Shorter secrets are refused: HMAC-SHA-256 wants as many bytes as it gives.
inline constexpr std::size_t kLeastSecretBytes = 32;

/// Makes `path` with a new random secret (256 bits), readable by its owner only, unless the file is there: that is then checked as
/// by read_secret_file(). Several processes may do so at once. Errors: kFailedPrecondition with the reason.
Result<void> ensure_secret_file(const std::string& path);
/// Reads a secret, without the line's end. Errors: kNotFound; kFailedPrecondition if it is no regular file, if others than its
/// owner and group may read it or others than its owner may write it, if it is short, long or of several lines.
Result<std::string> read_secret_file(const std::string& path);

}  // namespace flexpert::crypto
