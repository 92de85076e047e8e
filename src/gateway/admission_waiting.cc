#include <algorithm>
#include <cstring>
#include <utility>

#include "gateway/admission_core.h"
#include "gateway/admission_refusals.h"

namespace flexpert::gateway {

void* AdmissionCore::take_block() {
  void* block = blocks_.take();
  AdmissionCore* self = this;
  std::memcpy(block, &self, sizeof self);
  ++outside_;
  return static_cast<char*>(block) + kBlockHead;
}

void AdmissionCore::give_block(void* memory) {
  blocks_.give(static_cast<char*>(memory) - kBlockHead);
  if (--outside_ == 0 && closed_ && !pumping_) delete this;
}

namespace {

void give_back(void* memory) {
  AdmissionCore* core = nullptr;
  std::memcpy(&core, static_cast<char*>(memory) - AdmissionCore::kBlockHead, sizeof core);
  core->give_block(memory);
}

}  // namespace

void* AdmissionTicket::operator new(std::size_t, AdmissionCore& core) { return core.take_block(); }
void AdmissionTicket::operator delete(void* memory) { give_back(memory); }
void AdmissionTicket::operator delete(void* memory, AdmissionCore&) { give_back(memory); }
void* AdmissionWaiter::operator new(std::size_t, AdmissionCore& core) { return core.take_block(); }
void AdmissionWaiter::operator delete(void* memory) { give_back(memory); }
void AdmissionWaiter::operator delete(void* memory, AdmissionCore&) { give_back(memory); }

AdmissionTicket::~AdmissionTicket() { core_.leave(tenant_, held_); }

void AdmissionTicket::hold(bool held) {
  if (held == std::exchange(held_, held)) return;
  if (held) core_.free_a_place();
  else core_.metrics_.set_in_flight(++core_.in_flight_);
}

void AdmissionTicket::settle(std::uint64_t prompt_tokens, std::uint64_t completion_tokens) {
  reserved_ = core_.settle(tenant_, reserved_, token_cost_, prompt_tokens + completion_tokens);
}

AdmissionWaiter::~AdmissionWaiter() { core_.forget(*this); }

/// Its client has gone, or it was told: it leaves the queue, and what it reserved goes back; that it came counts.
void AdmissionCore::forget(AdmissionWaiter& waiter) {
  if (!waiter.inside_) return;
  if (waiter.place_ != 0) {
    queue_.remove(waiter.place_);
    metrics_.set_queued(queue_.size());
    metrics_.count(AdmissionOutcome::kLeft);
  }
  if (waiter.verdict_ != AdmissionWaiter::Verdict::kNone)
    std::replace(decided_.begin(), decided_.end(), &waiter, static_cast<AdmissionWaiter*>(nullptr));
  waiter.tenant_.rates.settle(waiter.reserved_, 0, clock_.now());
  waiter.tenant_.rates.leave();
}

void AdmissionCore::decide(AdmissionWaiter& waiter, AdmissionWaiter::Verdict verdict) {
  waiter.place_ = 0;
  waiter.verdict_ = verdict;
  decided_.push_back(&waiter);
  metrics_.count(verdict == AdmissionWaiter::Verdict::kEvicted ? AdmissionOutcome::kEvicted : AdmissionOutcome::kExpired);
  metrics_.set_queued(queue_.size());
  pump_soon();
}

void AdmissionCore::pump_soon() {
  if (pump_timer_ != 0 || closed_) return;
  pump_timer_ = loop_.call_after(Duration::zero(), [this] {
    pump_timer_ = 0;
    pump();
  });
}

void AdmissionCore::pump() {
  const TimePoint now = clock_.now();
  pumping_ = true;
  while (const auto expired = queue_.pop_expired(now))
    decide(*reinterpret_cast<AdmissionWaiter*>(*expired), AdmissionWaiter::Verdict::kExpired);
  deliver_refusals(now);
  while (!closed_ && free_place()) {
    const auto next = queue_.pop();
    if (!next) break;
    auto& waiter = *reinterpret_cast<AdmissionWaiter*>(*next);
    waiter.place_ = 0;
    waiter.inside_ = false;  // the ticket takes its place over
    metrics_.set_queued(queue_.size());
    metrics_.count(AdmissionOutcome::kWaited);
    const Duration waited = std::max(Duration::zero(), Duration(now - waiter.since_));
    metrics_.observe_wait(waited);
    auto ticket = make_ticket(waiter.tenant_, waiter.reserved_, waiter.token_cost_, waited);
    auto later = std::move(waiter.later_);
    later(std::move(ticket));  // may destroy the waiter, and the Admission
  }
  pumping_ = false;
  if (!closed_) {
    if (!ladder_.steps().empty()) update_ladder(now);
    set_deadline_timer();
  } else if (outside_ == 0) {
    delete this;
  }
}

void AdmissionCore::deliver_refusals(TimePoint now) {
  const int retry = queue_retry_s();
  // A listener may bring about more of them; those come with the next turn.
  const std::size_t count = decided_.size();
  for (std::size_t i = 0; i < count && !closed_; ++i) {
    AdmissionWaiter* waiter = decided_[i];
    if (waiter == nullptr) continue;
    Refusal refusal = waiter->verdict_ == AdmissionWaiter::Verdict::kEvicted ? refuse_by_eviction(retry)
                                                                             : refuse_by_deadline(now - waiter->since_, retry);
    decided_[i] = nullptr;
    waiter->verdict_ = AdmissionWaiter::Verdict::kNone;
    waiter->inside_ = false;
    waiter->tenant_.rates.undo(waiter->reserved_, now);
    waiter->tenant_.rates.leave();
    auto later = std::move(waiter->later_);
    later(std::unexpected(std::move(refusal)));
  }
  decided_.erase(decided_.begin(), decided_.begin() + static_cast<std::ptrdiff_t>(count));
}

void AdmissionCore::set_deadline_timer() {
  const auto next = queue_.next_deadline();
  if (!next || closed_) return;
  if (deadline_timer_ != 0 && deadline_set_ <= *next) return;
  loop_.cancel(deadline_timer_);
  deadline_set_ = *next;
  deadline_timer_ = loop_.call_after(std::max(Duration::zero(), Duration(*next - clock_.now())), [this] {
    deadline_timer_ = 0;
    pump();
  });
}

void AdmissionCore::close() {
  closed_ = true;
  loop_.cancel(pump_timer_);
  loop_.cancel(deadline_timer_);
  if (outside_ == 0 && !pumping_) delete this;
}

}  // namespace flexpert::gateway
