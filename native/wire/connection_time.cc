// What is due, and when something will be.
#include <algorithm>

#include "wire/connection_state.h"
#include "wire/instant.h"

namespace npuserve::wire {

Connection::State::State(uint64_t id, const Limits& limits, MemoryBudget& budget, int64_t now_ns)
    : id_(id),
      limits_(limits),
      budget_(budget),
      now_ns_(now_ns),
      session_(*this, limits),
      keepalive_(limits, now_ns),
      age_(limits, id, now_ns),
      strikes_(limits),
      resets_(limits.max_resets_per_second, now_ns) {}

// What waits in the budget's queue must not outlive its connection.
Connection::State::~State() {
  for (size_t i = 0; i < calls_.size(); ++i) {
    if (calls_.at(i).reader.awaits_room()) budget_.forget(id_, calls_.at(i).stream_id);
  }
}

int64_t Connection::State::next_wake_ns() const {
  if (aborted_) return kNever;
  if (finished_ns_ != kNever) return after(finished_ns_, limits_.slow_reader_timeout_ns);
  if (is_over()) return kNever;
  const int64_t unwritable_until_ns =
      unwritable_ns_ == kNever ? kNever : after(unwritable_ns_, limits_.slow_reader_timeout_ns);
  return std::min({timers_.next_ns(), keepalive_.next_ns(calls_.size() > 0), age_.next_ns(), unwritable_until_ns});
}

void Connection::State::advance(int64_t now_ns) {
  now_ns_ = now_ns;
  if (finished_ns_ != kNever && now_ns >= after(finished_ns_, limits_.slow_reader_timeout_ns)) return abort();
  if (is_over()) return;
  while (const std::optional<Timers::Timer> timer = timers_.pop_due(now_ns)) {
    expire(*timer);
    if (is_over()) return;
  }
  if (unwritable_ns_ != kNever && now_ns >= after(unwritable_ns_, limits_.slow_reader_timeout_ns)) return abort();
  switch (keepalive_.advance(now_ns, calls_.size() > 0)) {
    case Keepalive::Action::kDead:
      return abort();
    case Keepalive::Action::kPing:
      check_memory(nghttp2_submit_ping(session_.get(), NGHTTP2_FLAG_NONE, nullptr));
      break;
    case Keepalive::Action::kNone:
      break;
  }
  switch (age_.advance(now_ns)) {
    case ConnectionAge::Action::kAbort:
      return abort();
    case ConnectionAge::Action::kLeave:
      return shut_down(now_ns);
    case ConnectionAge::Action::kNone:
      break;
  }
}

void Connection::State::set_timer(Timers::Kind kind, const Call& call, int64_t at_ns) {
  timers_.add({at_ns, call.stream_id, kind});
  timers_.compact(calls_.size(), [this](const Timers::Timer& timer) { return is_stale(timer); });
}

bool Connection::State::is_stale(const Timers::Timer& timer) const {
  const Call* call = find(timer.stream_id);
  if (call == nullptr) return true;
  return timer.kind == Timers::Kind::kDeadline && call->server == ServerSide::kFinished;
}

void Connection::State::expire(const Timers::Timer& timer) {
  Call* call = find(timer.stream_id);
  if (call == nullptr) return;
  switch (timer.kind) {
    case Timers::Kind::kDeadline:
      if (call->server == ServerSide::kFinished) return;
      return refuse(*call, {core::StatusCode::kDeadlineExceeded, "Deadline Exceeded"}, EventKind::kCallExpired);
    case Timers::Kind::kGrowth:
      return check_growth(*call);
    case Timers::Kind::kSent:
      return check_sent(*call);
  }
}

void Connection::State::check_growth(Call& call) {
  call.watches_growth = false;
  if (call.client != ClientSide::kMessages || !call.reader.is_amid_message()) return;
  if (call.reader.awaits_room()) call.grown_ns = now_ns_;  // it is we who are slow
  const int64_t until_ns = after(call.grown_ns, limits_.slow_writer_timeout_ns);
  if (now_ns_ < until_ns) {
    call.watches_growth = true;
    return set_timer(Timers::Kind::kGrowth, call, until_ns);
  }
  refuse(call, {core::StatusCode::kDeadlineExceeded, "The rest of a message that had begun did not come in time"},
         EventKind::kCallExpired);
}

void Connection::State::check_sent(Call& call) {
  call.watches_sent = false;
  if (call.outgoing.empty()) return;
  const int64_t until_ns = after(call.sent_ns, limits_.slow_reader_timeout_ns);
  if (now_ns_ >= until_ns) return abort();
  call.watches_sent = true;
  set_timer(Timers::Kind::kSent, call, until_ns);
}

// The h2 streams that the output left with unsent messages get a clock.
void Connection::State::watch_unsent() {
  for (const int32_t stream_id : maybe_unsent_) {
    Call* call = find(stream_id);
    if (call == nullptr || call->outgoing.empty() || call->watches_sent || limits_.slow_reader_timeout_ns == 0)
      continue;
    call->sent_ns = now_ns_;
    call->watches_sent = true;
    set_timer(Timers::Kind::kSent, *call, after(now_ns_, limits_.slow_reader_timeout_ns));
  }
  maybe_unsent_.clear();
}

}  // namespace npuserve::wire
