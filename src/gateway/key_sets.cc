#include "gateway/key_sets.h"

#include "base/log.h"
#include "config/file_bytes.h"
#include "crypto/digest.h"
#include "crypto/tls_context.h"

namespace flexpert::gateway {
namespace {

constexpr std::size_t kLongestSet = 1 << 20;
constexpr std::size_t kMostWaiting = 1024;

}  // namespace

KeySet::KeySet(net::EventLoop& loop, const Clock& clock, web_client::WebClient& client, Options options, std::function<void()> changed)
    : loop_(loop), clock_(clock), client_(client), options_(std::move(options)), changed_(std::move(changed)) {}

KeySet::~KeySet() {
  loop_.cancel(timer_);
  if (request_) client_.cancel(*request_);
}

Result<void> KeySet::start() {
  if (!options_.ca_file.empty()) {
    // Whoever fetches would only say that it could not.
    FLEXPERT_TRY(crypto::TlsContext::client({.ca_file = options_.ca_file}));
  }
  schedule();
  if (options_.file.empty()) {
    fetch();
    return {};
  }
  return read_file();
}

void KeySet::schedule() {
  timer_ = loop_.call_after(options_.refresh, [this] {
    schedule();
    if (!options_.file.empty()) {
      if (const auto read = read_file(); !read)
        log::warn("tokens of {}: the keys read before stay: {}", options_.issuer, read.error().message);
    } else if (!request_) {
      fetch();
    }
  });
}

Result<void> KeySet::replace(std::string_view json) {
  std::string digest = crypto::sha256_hex(json);
  if (digest == digest_) return {};
  FLEXPERT_ASSIGN(crypto::JwkSet keys, crypto::JwkSet::parse(json, {.symmetric = options_.symmetric}));
  for (const std::string& line : keys.ignored()) log::info("tokens of {}: left out of the key set: {}", options_.issuer, line);
  log::info("tokens of {}: {} keys", options_.issuer, keys.size());
  keys_ = std::move(keys);
  digest_ = std::move(digest);
  changed_();
  return {};
}

Result<void> KeySet::read_file() {
  last_attempt_ = clock_.now();
  auto json = config::read_file_bytes(options_.file);
  if (!json) return fail(json.error().with_context(options_.file));
  if (auto replaced = replace(*json); !replaced) return fail(replaced.error().with_context(options_.file));
  return {};
}

void KeySet::fetch() {
  last_attempt_ = clock_.now();
  request_ = client_.send({.url = options_.url, .headers = {{"Accept", "application/jwk-set+json, application/json"}},
                           .ca_file = options_.ca_file,
                           .timeout = options_.timeout,
                           .max_answer_bytes = kLongestSet},
                          [this](Result<web_client::WebAnswer> answer) { take(std::move(answer)); });
}

void KeySet::take(Result<web_client::WebAnswer> answer) {
  request_.reset();
  Result<void> taken;
  if (!answer) {
    taken = fail(answer.error());
  } else if (answer->status != 200) {
    // Redirects included: keys come from the place that the configuration names, or not at all.
    taken = fail(ErrorCode::kUnavailable, "{}: status {} instead of 200", options_.url, answer->status);
  } else {
    taken = replace(answer->body);
  }
  if (!taken)
    log::warn("tokens of {}: no new keys: {}; {}", options_.issuer, taken.error().message,
              keys_ ? "those from before stay" : "its tokens cannot be verified");
  // Whoever is called may drop others that wait, ask for another fetch, and destroy this.
  const std::shared_ptr<Waiters> waiters = waiters_;
  while (!waiters->empty()) {
    auto first = waiters->extract(waiters->begin());
    first.mapped()();
    if (waiters.use_count() == 1 || request_) return;
  }
}

KeySet::Newer KeySet::request_newer() {
  if (request_) return Newer::kFetching;
  if (last_attempt_ && clock_.now() - *last_attempt_ < options_.min_refresh) return Newer::kNotNow;
  if (options_.file.empty()) {
    fetch();
    return Newer::kFetching;
  }
  if (const auto read = read_file(); !read) log::warn("tokens of {}: the keys read before stay: {}", options_.issuer, read.error().message);
  return Newer::kRead;
}

std::unique_ptr<KeySet::Waiting> KeySet::wait(std::move_only_function<void()> done) {
  if (waiters_->size() >= kMostWaiting) return nullptr;
  const std::uint64_t id = next_waiting_++;
  waiters_->emplace(id, std::move(done));
  return std::make_unique<Waiting>(waiters_, id);
}

KeySet::Waiting::~Waiting() {
  if (const auto waiters = waiters_.lock()) waiters->erase(id_);
}

}  // namespace flexpert::gateway
