// What http::Inbound and http::Outbound alone cost a relayed request and a streamed event: a proxy without policy, in a process of
// its own, beside nginx. The gateway's bars are on top of this.
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <csignal>
#include <cstring>
#include <memory>
#include <vector>

#include "base/check.h"
#include "http/inbound.h"
#include "http/outbound.h"
#include "net/event_loop.h"
#include "rig/backend.h"
#include "rig/idle_streams.h"
#include "rig/measurement.h"
#include "rig/requests.h"
#include "rig/sockets.h"

namespace {

using namespace flexpert;
using namespace flexpert::bench;

constexpr int kRounds = 5;
constexpr std::size_t kConnections = 32;
constexpr double kMostInstructions = 7'000;
constexpr std::size_t kIdleStreams = 2'000;

bool is_of_the_hop(codec::Http1KnownField field) {
  using enum codec::Http1KnownField;
  return field == kConnection || field == kContentLength || field == kTransferEncoding || field == kKeepAlive || field == kHost || field == kDate;
}

/// Lines of a head, written where they are sent from.
class Lines {
 public:
  void clear() { size_ = 0; }
  Lines& add(std::string_view text) {
    FLEXPERT_CHECK(size_ + text.size() <= bytes_.size(), "a head is larger than this proxy takes");
    std::memcpy(bytes_.data() + size_, text.data(), text.size());
    size_ += text.size();
    return *this;
  }
  void add(const codec::Http1FieldView& field) { add(field.name).add(": ").add(field.value).add("\r\n"); }
  [[nodiscard]] std::string_view text() const { return {bytes_.data(), size_}; }

 private:
  std::array<char, 4096> bytes_;
  std::size_t size_ = 0;
};

class PlainProxy;

/// Where heads are written; kept for the next ones, so that a stream at rest holds none.
class LinesPool {
 public:
  std::unique_ptr<Lines> take() {
    if (free_.empty()) return std::make_unique<Lines>();
    auto lines = std::move(free_.back());
    free_.pop_back();
    lines->clear();
    return lines;
  }
  void give(std::unique_ptr<Lines> lines) {
    if (lines != nullptr) free_.push_back(std::move(lines));
  }

 private:
  std::vector<std::unique_ptr<Lines>> free_;
};

/// One request on its way through.
class Relay final : private http::InboundListener, private http::OutboundListener {
 public:
  Relay(PlainProxy& proxy, LinesPool& lines) : proxy_(proxy), pool_(lines) {}
  void begin(http::InboundExchange& exchange, http::OutboundUpstream& upstream) {
    exchange_ = &exchange;
    exchange.set_listener(this);
    const codec::Http1RequestView& head = exchange.head();
    head_ = pool_.take();
    Lines& lines = *head_;
    lines.add(head.method).add(" ").add(head.target).add(" HTTP/1.1\r\nHost: upstream\r\n");
    for (const codec::Http1FieldView& field : head.fields)
      if (!is_of_the_hop(field.known)) lines.add(field);
    const std::string_view body = exchange.body();
    char digits[20];
    lines.add("Content-Length: ").add(std::string_view(digits, std::to_chars(digits, digits + sizeof digits, body.size()).ptr)).add("\r\n\r\n");
    request_ = upstream.send(lines.text(), {&body, 1}, false, *this);
  }

 private:
  void on_client_gone() override {
    request_->cancel();
    done();
  }
  void on_writable() override { request_->set_reading(true); }
  void on_head(const codec::Http1ResponseView& head) override {
    Lines& lines = *head_;  // the request's are not needed any more
    lines.clear();
    for (const codec::Http1FieldView& field : head.fields)
      if (!is_of_the_hop(field.known)) lines.add(field);
    exchange_->start(head.status, lines.text(), head.framing == codec::Http1Framing::kLength ? std::optional(head.content_length) : std::nullopt);
    if (head.framing == codec::Http1Framing::kChunked) exchange_->release_request();
    pool_.give(std::move(head_));
  }
  void on_body(std::string_view piece) override {
    if (!exchange_->write(piece)) request_->set_reading(false);
  }
  void on_end() override {
    exchange_->finish();
    done();
  }
  void on_error(http::OutboundFailure, const Error&) override {
    if (exchange_->started()) exchange_->abort();
    else exchange_->respond(502, {}, {});
    done();
  }
  void done();

  PlainProxy& proxy_;
  LinesPool& pool_;
  http::InboundExchange* exchange_ = nullptr;
  http::OutboundRequest* request_ = nullptr;
  std::unique_ptr<Lines> head_;  ///< until the answer's head is there
};

class PlainProxy final : public http::InboundAcceptor {
 public:
  PlainProxy(net::EventLoop& loop, std::uint16_t upstream)
      : inbound_(loop, {}, *this), outbound_(loop, {.max_idle_connections = 20'000}), upstream_(outbound_.connect(address(upstream))) {}
  Result<net::Address> listen() { return inbound_.listen(address(0)); }
  void give(Relay& relay) { free_.push_back(&relay); }

 private:
  static net::Address address(std::uint16_t port) { return {.host_or_path = "127.0.0.1", .port = port}; }
  void on_request(http::InboundExchange& exchange) override {
    if (free_.empty()) free_.push_back(relays_.emplace_back(std::make_unique<Relay>(*this, lines_)).get());
    Relay* const relay = free_.back();
    free_.pop_back();
    relay->begin(exchange, *upstream_);
  }

  http::Inbound inbound_;
  http::Outbound outbound_;
  std::unique_ptr<http::OutboundUpstream> upstream_;
  LinesPool lines_;
  std::vector<std::unique_ptr<Relay>> relays_;
  std::vector<Relay*> free_;
};

void Relay::done() {
  pool_.give(std::move(head_));
  proxy_.give(*this);
}

/// The proxy's process.
class ProxyProcess {
 public:
  static Result<std::unique_ptr<ProxyProcess>> start(std::uint16_t upstream) {
    int ends[2];
    if (::pipe(ends) != 0) return fail(ErrorCode::kResourceExhausted, "no pipe");
    auto process = std::make_unique<ProxyProcess>();
    process->pid_ = ::fork();
    if (process->pid_ == 0) {
      pin_to_core(kProxyCore);
      net::EventLoop loop;
      PlainProxy proxy(loop, upstream);
      const auto bound = proxy.listen();
      const std::uint16_t port = bound ? bound->port : 0;
      if (::write(ends[1], &port, sizeof port) != sizeof port || port == 0) ::_exit(1);
      loop.run();
      ::_exit(0);
    }
    ::close(ends[1]);
    const bool told = ::read(ends[0], &process->port_, sizeof process->port_) == sizeof process->port_;
    ::close(ends[0]);
    if (!told || process->port_ == 0) return fail(ErrorCode::kUnavailable, "the proxy does not listen");
    FLEXPERT_ASSIGN(ProcessWatch watch, ProcessWatch::attach(process->pid_));
    process->watch_ = std::make_unique<ProcessWatch>(std::move(watch));
    return process;
  }
  ~ProxyProcess() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
  }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] ProcessWatch& watch() { return *watch_; }

 private:
  pid_t pid_ = -1;
  std::uint16_t port_ = 0;
  std::unique_ptr<ProcessWatch> watch_;
};

struct Row {
  std::vector<double> user, all, cpu;
};

Result<void> run_rounds(ProcessWatch& watch, Load& load, const std::string& request, std::uint64_t count, Row& row) {
  for (int round = 0; round <= kRounds; ++round) {
    const Cost before = watch.read();
    const LoadResult result = load.closed_loop(request, count);
    const Cost used = watch.read() - before;
    if (result.failed > 0) return fail(ErrorCode::kUnavailable, "{} requests failed; the first: {}", result.failed, result.first_failure);
    if (round == 0) continue;
    const auto units = static_cast<double>(result.events > 0 ? result.events : result.completed);
    row.user.push_back(static_cast<double>(used.user_instructions) / units);
    row.all.push_back(static_cast<double>(used.instructions) / units);
    row.cpu.push_back(used.cpu_s * 1e6 / units);
  }
  return {};
}

void note(Figures& figures, const std::string& name, const Row& row, const std::string& unit) {
  figures.note(name + ".user_instructions", median(row.user), "per " + unit);
  figures.note(name + ".instructions", median(row.all), "per " + unit);
  figures.note(name + ".cpu", median(row.cpu), "us/" + unit);
}

Result<void> measure(Figures& figures) {
  BenchFolder folder;
  FLEXPERT_ASSIGN(const std::unique_ptr<Backend> backend, Backend::start(1, kOtherCore));
  FLEXPERT_ASSIGN(const std::unique_ptr<ProxyProcess> own, ProxyProcess::start(backend->ports()[0]));
  FLEXPERT_ASSIGN(const std::unique_ptr<Proxy> nginx, start_nginx(folder, {.upstreams = backend->ports(), .core = kProxyCore}));
  pin_to_core(kOtherCore);
  const auto both = [&](const std::string& name, const std::string& request, std::uint64_t count, std::size_t connections) -> Result<Row> {
    Row ours;
    Row theirs;
    Load own_load(own->port(), connections);
    Load nginx_load(nginx->port(), connections);
    FLEXPERT_TRY(run_rounds(own->watch(), own_load, request, count, ours));
    FLEXPERT_TRY(run_rounds(nginx->watch(), nginx_load, request, count, theirs));
    const std::string unit = name == "sse" ? "event" : "request";
    note(figures, name + ".ours", ours, unit);
    note(figures, name + ".nginx", theirs, unit);
    figures.note(name + ".cpu_of_nginx", median(ours.cpu) / median(theirs.cpu), "x");
    return ours;
  };
  double small = 0;
  for (const auto& [name, bytes, count] : {std::tuple{"250B", 250, 4000}, {"1KB", 1024, 4000}, {"16KB", 16 * 1024, 2000}, {"200KB", 200'000, 500}}) {
    FLEXPERT_ASSIGN(const Row row, both(name, chat_request({.body_bytes = static_cast<std::size_t>(bytes)}), static_cast<std::uint64_t>(count), kConnections));
    if (bytes == 1024) small = median(row.user);
  }
  figures.hold("1KB.user_instructions", small, "per request", fmt::format("<={}", kMostInstructions), small > 0 && small <= kMostInstructions);
  backend->plan().events = 100;
  backend->plan().interval_us = 2'000;
  FLEXPERT_TRY(both("sse", chat_request({.body_bytes = 600, .stream = true}), 300, 60));

  backend->plan().events = 1'000'000;
  backend->plan().interval_us = 3'600'000'000u;
  const std::string silent = chat_request({.body_bytes = 600, .stream = true});
  {
    FLEXPERT_ASSIGN(const IdleStreams warm, IdleStreams::open(own->port(), 50, silent));
  }
  const double before = static_cast<double>(own->watch().resident_bytes());
  FLEXPERT_ASSIGN(const IdleStreams streams, IdleStreams::open(own->port(), kIdleStreams, silent));
  const double each = (static_cast<double>(own->watch().resident_bytes()) - before) / static_cast<double>(kIdleStreams);
  figures.hold("idle.bytes_a_stream", each, "bytes", "<=2048", each <= 2048);
  return {};
}

}  // namespace

int main() {
  ::signal(SIGPIPE, SIG_IGN);
  raise_descriptor_limit();
  Figures figures("gateway-data-plane",
                  "a proxy of Inbound and Outbound alone on one core, backend and load on another, 32 kept connections in closed loop; nginx the same; user "
                  "instructions, all instructions and CPU time of the proxy's process, medians of rounds");
  const auto done = measure(figures);
  if (!done) std::fprintf(stderr, "gateway-data-plane: %s\n", done.error().message.c_str());
  return figures.verdict(done.has_value());
}
