#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "crypto/jwk_set.h"
#include "net/event_loop.h"
#include "web_client/web_client.h"

namespace flexpert::gateway {

/// The keys of one issuer of tokens, from a file or a URL: read at the start, again every `refresh`, and when a token names a key
/// that is not there. A set that cannot be fetched, is empty or malformed never replaces a good one. Belongs to the loop's
/// thread; the loop, the clock and the client outlive it.
class KeySet {
 public:
  struct Options {
    std::string issuer;               ///< for logs
    std::string url;                  ///< http(s)://..., or
    std::string file;
    std::string ca_file;              ///< PEM of the authorities that `url` is trusted by; empty: the system's
    bool symmetric = false;           ///< takes HMAC keys; only from a file
    Duration refresh = Seconds(300);
    Duration min_refresh = Seconds(10);  ///< between two attempts for keys that were not there
    Duration timeout = Seconds(10);
  };

  /// `changed` runs whenever other keys than before hold.
  KeySet(net::EventLoop& loop, const Clock& clock, web_client::WebClient& client, Options options, std::function<void()> changed);
  ~KeySet();
  KeySet(const KeySet&) = delete;
  KeySet& operator=(const KeySet&) = delete;

  /// Reads the file, or begins to fetch. Errors: a file that is missing or has no usable key, a `ca_file` without certificates.
  Result<void> start();
  /// Returns the keys that hold; null before the first set is there.
  [[nodiscard]] const crypto::JwkSet* keys() const { return keys_ ? &*keys_ : nullptr; }

  enum class Newer {
    kRead,      ///< the file was read again just now
    kFetching,  ///< a fetch is under way: wait()
    kNotNow,    ///< the last attempt is less than `min_refresh` ago
  };
  /// Asks for newer keys than there are. However many ask, one fetch is under way at a time.
  Newer request_newer();

  using Waiters = std::map<std::uint64_t, std::move_only_function<void()>>;
  /// One who waits; dropping it is waiting no more.
  class Waiting {
   public:
    Waiting(std::weak_ptr<Waiters> waiters, std::uint64_t id) : waiters_(std::move(waiters)), id_(id) {}
    Waiting(Waiting&&) = delete;
    Waiting& operator=(Waiting&&) = delete;
    ~Waiting();

   private:
    std::weak_ptr<Waiters> waiters_;
    std::uint64_t id_;
  };
  /// Calls `done` once, from the loop, when the fetch under way is over, whatever came of it; `done` may destroy the set. Null if
  /// too many wait already.
  std::unique_ptr<Waiting> wait(std::move_only_function<void()> done);

 private:
  void fetch();
  void take(Result<web_client::WebAnswer> answer);
  Result<void> replace(std::string_view json);
  Result<void> read_file();
  void schedule();

  net::EventLoop& loop_;
  const Clock& clock_;
  web_client::WebClient& client_;
  Options options_;
  std::function<void()> changed_;
  std::optional<crypto::JwkSet> keys_;
  std::string digest_;                                     ///< of the text that they came from
  std::optional<web_client::WebClient::RequestId> request_;
  std::optional<TimePoint> last_attempt_;
  net::TimerId timer_ = 0;
  std::uint64_t next_waiting_ = 1;
  std::shared_ptr<Waiters> waiters_ = std::make_shared<Waiters>();
};

}  // namespace flexpert::gateway
