#include "platform/local_processes.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <deque>
#include <fstream>

#include "base/log.h"
#include "net/child_process.h"
#include "net/socket.h"
#include "platform/readiness.h"

namespace flexpert::platform {

/// One process and its successors.
class LocalProcesses::Instance {
 public:
  Instance(LocalProcesses& owner, LaunchSpec spec) : owner_(owner), spec_(std::move(spec)) {
    seen_.id = spec_.id;
    durable_ = spec_.may_outlive_us && owner_.records_.kept();
    if (!owner_.options_.log_dir.empty()) log_path_ = fmt::format("{}/{}.log", owner_.options_.log_dir, spec_.id);
    if (!durable_ && !log_path_.empty()) log_.open(log_path_, std::ios::app | std::ios::binary);
  }
  ~Instance() {
    owner_.loop_.cancel(timer_);
    if (child_ && durable_) owner_.records_.remove(spec_.id);  // the child dies with this
  }
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  /// Starts the process, and from then on watches its readiness.
  Result<void> start() {
    net::ChildProcessOptions options;
    options.argv = spec_.argv;
    options.extra_environment = spec_.environment;
    if (durable_) {
      options.may_outlive_us = true;
      options.output_file = log_path_.empty() ? "/dev/null" : log_path_;
      options.before_exec = [this](int pid) -> Result<void> {
        FLEXPERT_ASSIGN(identity_, identity_of(pid));
        return write_record(false);
      };
    } else {
      options.on_line = [this](std::string_view line) { keep(line); };
    }
    net::UniqueFd shared;
    if (!spec_.shared_listen.empty()) {
      FLEXPERT_ASSIGN(shared, owner_.shared_socket(spec_.shared_listen));
      options.shared_fd = shared.get();
    }
    last_line_.clear();
    failure_.clear();
    FLEXPERT_ASSIGN(child_, net::ChildProcess::spawn(owner_.loop_, std::move(options), [this](net::ExitStatus status) { exited(status); }));
    seen_.pid = child_->pid();
    seen_.state = InstanceState::kStarting;
    watch_readiness(spec_.readiness);
    return {};
  }

  /// Takes over the process of a record. Errors: it runs no more.
  Result<void> adopt(const ProcessRecord& record) {
    identity_ = record.identity;
    FLEXPERT_ASSIGN(child_, adopt_process(owner_.loop_, identity_, [this](net::ExitStatus status) { exited(status); }));
    adopted_ = true;
    seen_.pid = identity_.pid;
    seen_.restarts = record.restarts;
    if (record.stopping) {
      stopping_ = true;  // it was told already; a second SIGTERM would mean "at once"
      seen_.state = InstanceState::kDraining;
      kill_at_deadline();
      return {};
    }
    // What was ready is taken to be so until the probe says otherwise: nobody needs to wait for it meanwhile.
    seen_.state = record.ready ? InstanceState::kReady : InstanceState::kStarting;
    ReadinessProbe probe = spec_.readiness;
    if (record.ready) probe.timeout = std::min<Duration>(probe.timeout, Seconds(10));
    watch_readiness(std::move(probe));
    return {};
  }

  void stop() {
    if (stopping_) return;
    stopping_ = true;
    readiness_.reset();
    owner_.loop_.cancel(std::exchange(timer_, 0));
    if (!child_) {
      seen_.state = InstanceState::kDraining;
      timer_ = owner_.loop_.call_after(Duration::zero(), [this] { change(InstanceState::kStopped); });
      return;
    }
    seen_.state = InstanceState::kDraining;
    if (durable_) note(write_record(false));
    child_->signal(SIGTERM);
    kill_at_deadline();
  }

  [[nodiscard]] const Observed& seen() const { return seen_; }
  [[nodiscard]] std::vector<std::string> lines() const { return {lines_.begin(), lines_.end()}; }

 private:
  void watch_readiness(ReadinessProbe probe) {
    readiness_ = std::make_unique<ReadinessCheck>(owner_.loop_, owner_.client_, std::move(probe), owner_.options_.probe_interval,
                                                  [this](Result<void> result) { probed(std::move(result)); });
  }

  void kill_at_deadline() {
    timer_ = owner_.loop_.call_after(spec_.drain_deadline, [this] {
      timer_ = 0;
      failure_ = fmt::format("killed: not gone {:.1f} s after SIGTERM", to_seconds(spec_.drain_deadline));
      if (child_) child_->signal(SIGKILL);
    });
  }

  Result<void> write_record(bool ready) const {
    return owner_.records_.write({.spec = spec_, .identity = identity_, .ready = ready, .stopping = stopping_, .restarts = seen_.restarts});
  }
  void note(const Result<void>& written) const {
    if (!written) log::error("{}: {}", spec_.id, written.error().message);
  }

  /// What a process that writes its log itself said last.
  [[nodiscard]] std::string last_logged_line() const {
    constexpr std::streamoff kTail = 4096;
    std::ifstream file(log_path_, std::ios::binary | std::ios::ate);
    if (!file) return {};
    file.seekg(-std::min<std::streamoff>(kTail, file.tellg()), std::ios::end);
    std::string last;
    for (std::string line; std::getline(file, line);)
      if (!line.empty()) last = line;
    return last;
  }

  void keep(std::string_view line) {
    lines_.emplace_back(line);
    if (lines_.size() > owner_.options_.kept_lines) lines_.pop_front();
    if (!line.empty()) last_line_ = line;
    if (log_.is_open()) log_ << line << '\n' << std::flush;
  }

  void probed(Result<void> result) {
    readiness_.reset();
    if (!result) {
      failure_ = result.error().message;
      if (child_) child_->signal(SIGKILL);
      return;
    }
    ready_at_ = owner_.loop_.now();
    if (durable_) note(write_record(true));
    change(InstanceState::kReady);
  }

  void exited(net::ExitStatus status) {
    child_.reset();
    readiness_.reset();
    owner_.loop_.cancel(std::exchange(timer_, 0));
    seen_.pid = 0;
    if (durable_) {
      owner_.records_.remove(spec_.id);
      last_line_ = last_logged_line();
    }
    const bool adopted = std::exchange(adopted_, false);
    const bool clean = stopping_ && status.signal == 0 && (adopted || status.code == 0);
    if (!failure_.empty()) {
      seen_.last_error = failure_;
    } else if (!clean && adopted) {
      seen_.last_error = fmt::format("gone; its last line: {}", last_line_);
    } else if (!clean) {
      seen_.last_error = last_line_.empty() ? status.to_string() : fmt::format("{}; its last line: {}", status.to_string(), last_line_);
    }
    if (stopping_) return change(InstanceState::kStopped);
    if (ready_at_ && owner_.loop_.now() - *ready_at_ >= owner_.options_.stable_after) crashes_ = 0;
    ready_at_.reset();
    if (spec_.restart_on_crash) restart_later();
    change(InstanceState::kFailed);
  }

  void restart_later() {
    Duration pause = owner_.options_.shortest_backoff;
    for (unsigned i = 0; i < crashes_ && pause < owner_.options_.longest_backoff; ++i) pause *= 2;
    ++crashes_;
    timer_ = owner_.loop_.call_after(std::min(pause, owner_.options_.longest_backoff), [this] { restart(); });
  }

  void restart() {
    timer_ = 0;
    ++seen_.restarts;
    if (const auto started = start(); !started) {
      seen_.last_error = started.error().message;
      restart_later();
      return;
    }
    change(InstanceState::kStarting);
  }

  /// Reports the new state. The callback may launch and stop instances, but a stopped id stays until it is launched again.
  void change(InstanceState state) {
    seen_.state = state;
    const Observed copy = seen_;
    if (owner_.on_change_) owner_.on_change_(copy);
  }

  LocalProcesses& owner_;
  LaunchSpec spec_;
  Observed seen_;
  std::unique_ptr<net::ChildProcess> child_;
  std::unique_ptr<ReadinessCheck> readiness_;
  net::TimerId timer_ = 0;  ///< the restart's, or the drain deadline's
  std::string log_path_;
  ProcessIdentity identity_;
  bool durable_ = false;    ///< may outlive us, and is written down
  bool adopted_ = false;    ///< the process now is not our child
  bool stopping_ = false;
  unsigned crashes_ = 0;    ///< in a row
  std::optional<TimePoint> ready_at_;
  std::string failure_;     ///< why we killed it
  std::string last_line_;
  std::deque<std::string> lines_;
  std::ofstream log_;
};

LocalProcesses::LocalProcesses(net::EventLoop& loop, LocalProcessesOptions options)
    : loop_(loop),
      options_(std::move(options)),
      records_(options_.record_dir),
      client_(loop, {.connect_timeout = Seconds(1), .head_timeout = Seconds(2), .idle_timeout = Seconds(2), .max_idle_connections = 0}) {}

LocalProcesses::~LocalProcesses() { on_change_ = nullptr; }

void LocalProcesses::set_on_change(OnChange callback) { on_change_ = std::move(callback); }

Result<net::UniqueFd> LocalProcesses::shared_socket(const std::string& address) {
  net::UniqueFd& kept = shared_sockets_[address];
  if (!kept) {
    FLEXPERT_ASSIGN(const net::Address parsed, net::Address::parse(address));
    if (parsed.is_unix) return fail(ErrorCode::kInvalidArgument, "several processes can listen together on HOST:PORT only: {}", address);
    // Shared, because instances that outlived a predecessor of ours still hold its socket.
    FLEXPERT_ASSIGN(kept, net::listen_on(parsed, 512, true));
  }
  net::UniqueFd copy(::fcntl(kept.get(), F_DUPFD_CLOEXEC, 3));
  if (!copy) return fail(ErrorCode::kResourceExhausted, "no descriptor for the socket on {}: {}", address, std::strerror(errno));
  return copy;
}

Result<void> LocalProcesses::launch(LaunchSpec spec) {
  const std::string& name = spec.id.value;
  const auto allowed = [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.'; };
  if (name.empty() || name.front() == '.' || !std::all_of(name.begin(), name.end(), allowed))
    return fail(ErrorCode::kInvalidArgument, "an instance's id must be letters, digits, '-', '_' and '.': \"{}\"", name);
  const auto existing = instances_.find(spec.id);
  if (existing != instances_.end() && existing->second->seen().state != InstanceState::kStopped)
    return fail(ErrorCode::kFailedPrecondition, "an instance of this id is there already; stop it first: {}", name);
  const InstanceId id = spec.id;
  auto instance = std::make_unique<Instance>(*this, std::move(spec));
  if (const auto started = instance->start(); !started) return fail(started.error().with_context(id.value));
  // A stopped predecessor may be the one whose callback we are in: it goes when the loop comes round.
  if (existing != instances_.end()) loop_.post([old = std::move(existing->second)]() mutable { old.reset(); });
  instances_[id] = std::move(instance);
  return {};
}

Result<void> LocalProcesses::stop(const InstanceId& id) {
  const auto it = instances_.find(id);
  if (it == instances_.end() || it->second->seen().state == InstanceState::kStopped)
    return fail(ErrorCode::kNotFound, "no such instance: {}", id);
  it->second->stop();
  return {};
}

std::vector<Observed> LocalProcesses::observe() const {
  std::vector<Observed> all;
  for (const auto& [id, instance] : instances_) all.push_back(instance->seen());
  return all;
}

std::vector<Recovered> LocalProcesses::recover() {
  std::vector<Recovered> all;
  for (const ProcessRecord& record : records_.read_all()) {
    auto instance = std::make_unique<Instance>(*this, record.spec);
    if (const auto adopted = instance->adopt(record); !adopted) {
      log::warn("{} went while nobody watched it: {}", record.spec.id, adopted.error().message);
      records_.remove(record.spec.id);
      continue;
    }
    all.push_back({record.spec, instance->seen()});
    instances_[record.spec.id] = std::move(instance);
  }
  return all;
}

std::vector<std::string> LocalProcesses::last_lines(const InstanceId& id) const {
  const auto it = instances_.find(id);
  return it == instances_.end() ? std::vector<std::string>{} : it->second->lines();
}

}  // namespace flexpert::platform
