#include "web_client/web_client.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <deque>
#include <map>
#include <string_view>
#include <unordered_map>

#include <curl/curl.h>

namespace flexpert::web_client {
namespace {

constexpr std::size_t kMaxHeaderBytes = 256 * 1024;
constexpr long kMostConnectionsPerHost = 8;

/// libcurl's own state, once for the process and for its whole life.
CURLcode global_init() {
  static const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
  return code;
}

struct HandleDeleter {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct ListDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using Handle = std::unique_ptr<CURL, HandleDeleter>;
using HeaderList = std::unique_ptr<curl_slist, ListDeleter>;

bool is_token(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || kMarks.find(c) != std::string_view::npos;
  });
}

bool is_header_value(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; });
}

Result<void> check(const WebRequest& request) {
  if (!is_token(request.method)) return fail(ErrorCode::kInvalidArgument, "method: must be a token such as GET: \"{}\"", request.method);
  if (!request.url.starts_with("http://") && !request.url.starts_with("https://"))
    return fail(ErrorCode::kInvalidArgument, "url: must begin with http:// or https://: \"{}\"", request.url);
  if (request.url.find('\0') != std::string::npos) return fail(ErrorCode::kInvalidArgument, "url: must not hold a zero byte");
  for (const auto& [name, value] : request.headers) {
    if (!is_token(name)) return fail(ErrorCode::kInvalidArgument, "header name: must be a token: \"{}\"", name);
    if (!is_header_value(value)) return fail(ErrorCode::kInvalidArgument, "header {}: must be one line of text", name);
  }
  if (request.timeout <= Duration::zero()) return fail(ErrorCode::kInvalidArgument, "timeout: must be over 0");
  return {};
}

/// libcurl's socket, not inherited by the processes that we start.
curl_socket_t open_socket(void*, curlsocktype, curl_sockaddr* address) {
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/// One request under way.
struct Transfer {
  WebClient::RequestId id = 0;
  WebRequest request;
  WebClient::Done done;
  Handle handle;
  HeaderList headers;
  WebAnswer answer;
  std::size_t header_bytes = 0;
  bool too_long = false;
  char error[CURL_ERROR_SIZE] = {};
};

std::size_t take_body(char* bytes, std::size_t, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  if (count > transfer.request.max_answer_bytes - transfer.answer.body.size()) {
    transfer.too_long = true;
    return 0;
  }
  transfer.answer.body.append(bytes, count);
  return count;
}

std::size_t take_header(char* bytes, std::size_t, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  transfer.header_bytes += count;
  if (transfer.header_bytes > kMaxHeaderBytes) {
    transfer.too_long = true;
    return 0;
  }
  const std::string_view line(bytes, count);
  if (line.starts_with("HTTP/")) {
    transfer.answer.headers.clear();  // of a 1xx answer before
    return count;
  }
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return count;
  std::string name(line.substr(0, colon));
  for (char& c : name)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  std::string_view value = line.substr(colon + 1);
  constexpr std::string_view kBlank = " \t\r\n";
  value.remove_prefix(std::min(value.find_first_not_of(kBlank), value.size()));
  value = value.substr(0, value.find_last_not_of(kBlank) + 1);
  transfer.answer.headers.emplace_back(std::move(name), std::string(value));
  return count;
}

ErrorCode code_of(CURLcode code) {
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT: return ErrorCode::kDeadlineExceeded;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL: return ErrorCode::kInvalidArgument;
    default: return ErrorCode::kUnavailable;
  }
}

Result<WebAnswer> outcome(Transfer& transfer, CURLcode code) {
  const WebRequest& request = transfer.request;
  if (transfer.too_long)
    return fail(ErrorCode::kResourceExhausted, "{} {}: the answer is over {} bytes", request.method, request.url, request.max_answer_bytes);
  if (code != CURLE_OK)
    return fail(code_of(code), "{} {}: {}", request.method, request.url,
                transfer.error[0] != '\0' ? static_cast<const char*>(transfer.error) : curl_easy_strerror(code));
  long status = 0;
  curl_easy_getinfo(transfer.handle.get(), CURLINFO_RESPONSE_CODE, &status);
  transfer.answer.status = static_cast<int>(status);
  return std::move(transfer.answer);
}

void set_up(Transfer& transfer) {
  CURL* handle = transfer.handle.get();
  const WebRequest& request = transfer.request;
  curl_easy_setopt(handle, CURLOPT_PRIVATE, &transfer);
  curl_easy_setopt(handle, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(handle, CURLOPT_PROXY, "");  // none that happens to stand in the environment
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(handle, CURLOPT_SSL_VERIFYPEER, 1L);
  curl_easy_setopt(handle, CURLOPT_SSL_VERIFYHOST, 2L);
  if (!request.ca_file.empty()) {
    curl_easy_setopt(handle, CURLOPT_CAINFO, request.ca_file.c_str());
    curl_easy_setopt(handle, CURLOPT_CAPATH, nullptr);  // or the system's would count, too
    curl_easy_setopt(handle, CURLOPT_CA_CACHE_TIMEOUT, 0L);
  }
  curl_easy_setopt(handle, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, static_cast<char*>(transfer.error));
  curl_easy_setopt(handle, CURLOPT_OPENSOCKETFUNCTION, &open_socket);
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, &take_body);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, &take_header);
  curl_easy_setopt(handle, CURLOPT_HEADERDATA, &transfer);
  const auto timeout_ms = std::max<std::int64_t>(1, std::chrono::ceil<Milliseconds>(request.timeout).count());
  curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(timeout_ms));
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(timeout_ms));
  if (request.method == "HEAD") {
    curl_easy_setopt(handle, CURLOPT_NOBODY, 1L);
  } else if (!request.body.empty() || request.method == "POST" || request.method == "PUT") {
    curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(handle, CURLOPT_POSTFIELDS, request.body.data());
    curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  } else if (request.method != "GET") {
    curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }
  curl_slist* list = curl_slist_append(nullptr, "Expect:");
  // A header without a value is written "Name;" for libcurl: "Name:" would remove it.
  for (const auto& [name, value] : request.headers)
    list = curl_slist_append(list, value.empty() ? fmt::format("{};", name).c_str() : fmt::format("{}: {}", name, value).c_str());
  transfer.headers.reset(list);
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, list);
}

}  // namespace

struct WebClient::Impl {
  explicit Impl(net::EventLoop& event_loop) : loop(event_loop) {
    global_init();
    multi = curl_multi_init();
    if (multi == nullptr) return;  // every request says so
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, &Impl::socket_changed);
    curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, this);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, &Impl::timer_changed);
    curl_multi_setopt(multi, CURLMOPT_TIMERDATA, this);
    curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, kMostConnectionsPerHost);
  }

  ~Impl() {
    for (auto& [id, transfer] : transfers) curl_multi_remove_handle(multi, transfer->handle.get());
    transfers.clear();
    if (multi != nullptr) curl_multi_cleanup(multi);  // may still take sockets back
    for (auto& [fd, watcher] : watchers) loop.unwatch(fd);
    loop.cancel(timer);
    loop.cancel(delivery);
  }

  /// One of libcurl's sockets on the loop.
  struct Watcher final : net::FdHandler {
    Watcher(Impl& owner_impl, int descriptor) : owner(owner_impl), fd(descriptor) {}
    void on_events(std::uint32_t events) override {
      int flags = 0;
      if ((events & EPOLLIN) != 0) flags |= CURL_CSELECT_IN;
      if ((events & EPOLLOUT) != 0) flags |= CURL_CSELECT_OUT;
      if ((events & (EPOLLERR | EPOLLHUP)) != 0) flags |= CURL_CSELECT_ERR | CURL_CSELECT_IN;
      owner.act(fd, flags);  // may destroy this
    }
    Impl& owner;
    int fd;
  };

  static int socket_changed(CURL*, curl_socket_t fd, int what, void* user, void*) {
    auto& self = *static_cast<Impl*>(user);
    if (what == CURL_POLL_REMOVE) {
      if (const auto found = self.watchers.find(fd); found != self.watchers.end()) {
        self.loop.unwatch(fd);
        self.retired.push_back(std::move(found->second));  // it may be the one that is running
        self.watchers.erase(found);
      }
      return 0;
    }
    const std::uint32_t events = ((what & CURL_POLL_IN) != 0 ? EPOLLIN : 0U) | ((what & CURL_POLL_OUT) != 0 ? EPOLLOUT : 0U);
    auto& watcher = self.watchers[fd];
    if (watcher) {
      self.loop.modify(fd, events);
    } else {
      watcher = std::make_unique<Watcher>(self, fd);
      self.loop.watch(fd, events, watcher.get());
    }
    return 0;
  }

  static int timer_changed(CURLM*, long timeout_ms, void* user) {
    auto& self = *static_cast<Impl*>(user);
    self.loop.cancel(std::exchange(self.timer, 0));
    if (timeout_ms < 0) return 0;
    self.timer = self.loop.call_after(Milliseconds(timeout_ms), [&self] {
      self.timer = 0;
      self.act(CURL_SOCKET_TIMEOUT, 0);
    });
    return 0;
  }

  void act(curl_socket_t fd, int flags) {
    retired.clear();  // not running any more: this turn has retired none yet
    int running = 0;
    curl_multi_socket_action(multi, fd, flags, &running);
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      CURL* handle = message->easy_handle;
      const CURLcode code = message->data.result;  // gone with the handle
      void* user = nullptr;
      curl_easy_getinfo(handle, CURLINFO_PRIVATE, &user);
      finish(static_cast<Transfer*>(user)->id, code);
    }
  }

  void finish(RequestId id, CURLcode code) {
    const auto found = transfers.find(id);
    if (found == transfers.end()) return;
    const std::unique_ptr<Transfer> transfer = std::move(found->second);
    transfers.erase(found);
    curl_multi_remove_handle(multi, transfer->handle.get());
    deliver(id, std::move(transfer->done), outcome(*transfer, code));
  }

  void deliver(RequestId id, Done done, Result<WebAnswer> result) {
    finished.push_back({id, std::move(done), std::move(result)});
    if (delivery == 0) delivery = loop.call_after(Duration::zero(), [this] { deliver_all(); });
  }

  void deliver_all() {
    delivery = 0;
    const std::weak_ptr<bool> here = alive;
    // Only what is there now: a callback that sends what cannot be sent does not keep us here.
    for (std::size_t count = finished.size(); count > 0 && !finished.empty(); --count) {
      Finished one = std::move(finished.front());
      finished.pop_front();
      one.done(std::move(one.result));
      if (here.expired()) return;
    }
    if (!finished.empty() && delivery == 0) delivery = loop.call_after(Duration::zero(), [this] { deliver_all(); });
  }

  struct Finished {
    RequestId id = 0;
    Done done;
    Result<WebAnswer> result;
  };

  net::EventLoop& loop;
  CURLM* multi = nullptr;
  RequestId last_id = 0;
  std::map<RequestId, std::unique_ptr<Transfer>> transfers;
  std::deque<Finished> finished;
  std::unordered_map<int, std::unique_ptr<Watcher>> watchers;
  std::vector<std::unique_ptr<Watcher>> retired;
  net::TimerId timer = 0;
  net::TimerId delivery = 0;
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);
};

WebClient::WebClient(net::EventLoop& loop) : impl_(std::make_unique<Impl>(loop)) {}
WebClient::~WebClient() = default;

WebClient::RequestId WebClient::send(WebRequest request, Done done) {
  const RequestId id = ++impl_->last_id;
  if (auto checked = check(request); !checked) {
    impl_->deliver(id, std::move(done), fail(std::move(checked.error())));
    return id;
  }
  auto transfer = std::make_unique<Transfer>();
  transfer->id = id;
  transfer->request = std::move(request);
  transfer->done = std::move(done);
  transfer->handle.reset(curl_easy_init());
  if (impl_->multi == nullptr || !transfer->handle || global_init() != CURLE_OK) {
    impl_->deliver(id, std::move(transfer->done), fail(ErrorCode::kUnavailable, "libcurl cannot be initialised"));
    return id;
  }
  set_up(*transfer);
  CURL* handle = transfer->handle.get();
  impl_->transfers.emplace(id, std::move(transfer));
  if (const CURLMcode code = curl_multi_add_handle(impl_->multi, handle); code != CURLM_OK) {
    const auto found = impl_->transfers.find(id);
    impl_->deliver(id, std::move(found->second->done), fail(ErrorCode::kUnavailable, "libcurl: {}", curl_multi_strerror(code)));
    impl_->transfers.erase(found);
  }
  return id;
}

void WebClient::cancel(RequestId id) {
  std::erase_if(impl_->finished, [id](const Impl::Finished& one) { return one.id == id; });
  const auto found = impl_->transfers.find(id);
  if (found == impl_->transfers.end()) return;
  curl_multi_remove_handle(impl_->multi, found->second->handle.get());
  impl_->transfers.erase(found);
}

}  // namespace flexpert::web_client
