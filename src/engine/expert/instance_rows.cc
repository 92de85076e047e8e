#include "engine/expert/instance_rows.h"

#include <algorithm>
#include <deque>
#include <map>
#include <string>
#include <utility>

#include "engine/expert/expert_link.h"

namespace flexpert::engine {
namespace {

namespace wire = expert_protocol;
using RowId = InstanceRows::RowId;

/// Connects are given up by who waits for them; this only ends those that nobody waits for.
constexpr Duration kConnectTimeout = Seconds(60);
/// A connection on which nothing was heard for this long while something was asked may lead nowhere.
constexpr Duration kSilence = Milliseconds(200);

/// A row that is not answered yet.
struct Asked {
  ExpertSlot slot;
  std::vector<float> row;
  InstanceRows::Done done;
  bool sent = false;
  TimePoint asked_at;
};

struct Ended {
  RowId id = 0;
  InstanceRows::Done done;
  Result<std::vector<float>> output;
};

/// One server, its connection, and what it is asked. `on_idle` is called, from the loop, whenever no row is left.
class Instance final : public net::FdHandler {
 public:
  Instance(net::EventLoop& loop, const ExpertEndpoint& endpoint, const wire::Hello& hello, const Clock& clock,
           std::function<void()> on_idle)
      : loop_(loop), clock_(clock), hidden_(hello.hidden), link_(endpoint, hello, kConnectTimeout), on_idle_(std::move(on_idle)) {}
  ~Instance() override {
    loop_.cancel(timer_);
    unwatch();
  }

  [[nodiscard]] const ExpertEndpoint& endpoint() const { return link_.endpoint(); }
  [[nodiscard]] bool idle() const { return rows_.empty(); }
  bool kept = true;

  void ask(RowId id, ExpertSlot slot, std::span<const float> row, InstanceRows::Done done) {
    rows_.emplace(id, Asked{.slot = slot, .row = {row.begin(), row.end()}, .done = std::move(done), .asked_at = clock_.now()});
    pump_soon();
  }

  /// Returns whether the row was this server's.
  bool cancel(RowId id) {
    if (std::erase_if(ended_, [id](const Ended& one) { return one.id == id; }) > 0) return true;
    const auto found = rows_.find(id);
    if (found == rows_.end()) return false;
    const bool silent = clock_.now() - std::max(found->second.asked_at, heard_at_) >= kSilence;
    const bool sent = found->second.sent;
    rows_.erase(found);
    if (silent) {
      close();
    } else if (sent && link_.live()) {
      wire::encode_empty(link_.out(), id, wire::FrameType::kCancel);
    }
    pump_soon();
    return true;
  }

  void on_events(std::uint32_t events) override {
    const auto done = link_.on_ready(static_cast<short>(events), clock_.now());
    auto taken = take_frames();
    if (done && taken) taken = send_rows();
    if (!done) fail_all(done.error());
    else if (!taken) fail_all(taken.error());
    watch();
    tell_ended();
  }

 private:
  /// From the loop, so that nobody's `done` is called inside run().
  void pump_soon() {
    if (timer_ == 0) timer_ = loop_.call_after(Duration::zero(), [this] { pump(); });
  }

  void pump() {
    timer_ = 0;
    if (!rows_.empty() && link_.state() == ExpertLink::State::kDown) {
      link_.retry_now();
      link_.maintain(clock_.now());
      if (link_.state() == ExpertLink::State::kDown) fail_all({ErrorCode::kUnavailable, "no connection"});
    }
    if (const auto sent = send_rows(); !sent) fail_all(sent.error());
    watch();
    tell_ended();
  }

  Result<void> send_rows() {
    if (!link_.live()) return {};
    for (auto& [id, asked] : rows_) {
      if (std::exchange(asked.sent, true)) continue;
      const wire::BatchGroup group{asked.slot.expert, 1};
      const std::uint32_t first = 0;
      wire::encode(link_.out(), id,
                   wire::Batch{.layer = asked.slot.layer,
                               .hidden = hidden_,
                               .row_count = 1,
                               .groups = std::span(&group, 1),
                               .row_indices = std::span(&first, 1),
                               .rows = asked.row,
                               .instance = endpoint().id.value});
    }
    return link_.send();
  }

  Result<void> take_frames() {
    while (true) {
      FLEXPERT_ASSIGN(const auto frame, link_.next_frame());
      if (!frame) return {};
      heard_at_ = clock_.now();
      const auto found = rows_.find(frame->correlation);
      if (found == rows_.end() || !found->second.sent) continue;  // cancelled
      ended_.push_back({frame->correlation, std::move(found->second.done), output_of(*frame)});
      rows_.erase(found);
    }
  }

  [[nodiscard]] Result<std::vector<float>> output_of(const wire::Frame& frame) const {
    if (frame.type == wire::FrameType::kError) {
      const auto error = wire::decode_error(frame.payload);
      return fail(ErrorCode::kUnavailable, "expert instance {}: {}", endpoint().id, error ? error->text : error.error().message);
    }
    if (frame.type == wire::FrameType::kResult)
      if (const auto result = wire::decode_result(frame.payload); result && result->assignments == 1 && result->hidden == hidden_)
        return std::vector<float>(result->outputs.begin(), result->outputs.end());
    return fail(ErrorCode::kUnavailable, "expert instance {} sent a malformed answer", endpoint().id);
  }

  void fail_all(const Error& error) {
    const bool reached = link_.live();
    close();
    for (auto& [id, asked] : rows_) {
      const std::string& why = link_.refusal().empty() ? error.message : link_.refusal();
      auto told = reached ? fail(ErrorCode::kUnavailable, "expert instance {}: {}", endpoint().id, error.message)
                          : fail(ErrorCode::kUnavailable, "expert instance {} cannot be reached at {}: {}", endpoint().id, endpoint().address, why);
      ended_.push_back({id, std::move(asked.done), std::move(told)});
    }
    rows_.clear();
  }

  /// What has been asked on the connection is to be asked again.
  void close() {
    unwatch();
    if (link_.state() != ExpertLink::State::kDown) link_.fail(clock_.now());
    for (auto& [id, asked] : rows_) asked.sent = false;
  }

  void watch() {
    const int fd = link_.fd();
    if (fd < 0) return;
    const auto events = static_cast<std::uint32_t>(link_.wanted_events());
    if (watched_fd_ < 0) loop_.watch(fd, events, this);
    else if (events != watched_events_) loop_.modify(fd, events);
    watched_fd_ = fd;
    watched_events_ = events;
  }
  void unwatch() {
    if (watched_fd_ >= 0) loop_.unwatch(std::exchange(watched_fd_, -1));
  }

  /// The last thing that is done: callbacks may ask and cancel.
  void tell_ended() {
    if (rows_.empty()) on_idle_();
    while (!ended_.empty()) {
      Ended one = std::move(ended_.front());
      ended_.pop_front();
      one.done(std::move(one.output));
    }
  }

  net::EventLoop& loop_;
  const Clock& clock_;
  std::uint32_t hidden_;
  ExpertLink link_;
  std::function<void()> on_idle_;
  std::map<RowId, Asked> rows_;
  std::deque<Ended> ended_;  ///< over, and not told yet
  TimePoint heard_at_{};
  net::TimerId timer_ = 0;
  int watched_fd_ = -1;
  std::uint32_t watched_events_ = 0;
};

class LinkedInstanceRows final : public InstanceRows {
 public:
  LinkedInstanceRows(net::EventLoop& loop, wire::Hello hello, const Clock& clock) : loop_(loop), hello_(std::move(hello)), clock_(clock) {}
  ~LinkedInstanceRows() override { loop_.cancel(sweep_timer_); }

  RowId run(const ExpertEndpoint& endpoint, ExpertSlot slot, std::span<const float> row, Done done) override {
    auto found = std::ranges::find_if(instances_, [&](const auto& instance) { return instance->endpoint() == endpoint; });
    if (found == instances_.end()) {
      instances_.push_back(std::make_unique<Instance>(loop_, endpoint, hello_, clock_, [this] { sweep_soon(); }));
      found = std::prev(instances_.end());
    }
    const RowId id = ++last_id_;
    (*found)->ask(id, slot, row, std::move(done));
    return id;
  }

  void cancel(RowId id) override {
    for (const auto& instance : instances_)
      if (instance->cancel(id)) return;
  }

  void keep_only(std::span<const ExpertEndpoint> endpoints) override {
    for (const auto& instance : instances_) instance->kept = std::ranges::find(endpoints, instance->endpoint()) != endpoints.end();
    sweep_soon();
  }

 private:
  /// Closes what is neither listed nor used; from the loop, because an instance may be at work right now.
  void sweep_soon() {
    if (sweep_timer_ != 0) return;
    sweep_timer_ = loop_.call_after(Duration::zero(), [this] {
      sweep_timer_ = 0;
      std::erase_if(instances_, [](const auto& instance) { return !instance->kept && instance->idle(); });
    });
  }

  net::EventLoop& loop_;
  wire::Hello hello_;
  const Clock& clock_;
  RowId last_id_ = 0;
  net::TimerId sweep_timer_ = 0;
  std::vector<std::unique_ptr<Instance>> instances_;
};

}  // namespace

std::unique_ptr<InstanceRows> InstanceRows::create(net::EventLoop& loop, wire::Hello hello, const Clock& clock) {
  return std::make_unique<LinkedInstanceRows>(loop, std::move(hello), clock);
}

}  // namespace flexpert::engine
