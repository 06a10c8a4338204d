#include "batching/random_run.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "batching/rule.h"
#include "batching/signatures.h"

namespace npuserve::batching::test {
namespace {

// Costs are about a hundred nanoseconds, and all that waits is measured in these.
constexpr int64_t kLongestTimeout = 600;

}  // namespace

RandomRun::RandomRun(const Setup& setup, uint64_t seed)
    : setup_(setup),
      table_(tokens(setup.gears), setup.costs_ns),
      core_(setup.options, table_, setup.devices, setup.slots),
      random_(seed),
      instances_(setup.devices.size()) {}

std::string RandomRun::run(int events) {
  int event = 0;
  try {
    for (; event < events; ++event) step();
    core_.stop();
    hold_some();
    drain();
  } catch (const BrokenRule& broken) {
    return "event " + std::to_string(event) + ": " + broken.what();
  }
  return {};
}

void RandomRun::step() {
  const int64_t kind = draw(0, 9);
  if (kind < 3) now_ns_ += draw(1, 60);
  end_due();
  release_some();
  if (draw(0, 19) == 0) hold_some();
  expire();
  if (kind >= 3 && kind < 9) submit();
  if (kind == 9) cancel();
  dispatch();
  check_nobody_waits_in_vain();
  check_accounts();
}

void RandomRun::submit() {
  const std::vector<int64_t> lengths = {1, 7, 8, 9, 16, 20, 32};
  Waiting request;
  request.length = lengths[static_cast<size_t>(draw(0, static_cast<int64_t>(lengths.size()) - 1))];
  request.rows = setup_.single_rows ? 1 : draw(1, most_rows(request.length));
  request.arrival_ns = now_ns_;
  Arrival arrival{.rows = request.rows,
                  .arrival_ns = now_ns_,
                  .capacity_rows = most_rows(request.length),
                  .priority = draw(0, setup_.options.levels + 1),
                  .timeout_ns = draw(0, 1) == 0 ? 0 : draw(1, kLongestTimeout)};
  if (setup_.options.buckets) {
    arrival.bucket = table_.bucket_of(std::vector<int64_t>{request.length, request.length}).value();
  } else {
    arrival.row_shape = {request.length};
  }
  const bool is_level = arrival.priority >= 1 && arrival.priority <= setup_.options.levels;
  const int64_t level = is_level ? arrival.priority : setup_.options.default_level;
  const QueuePolicy& policy = policy_of(level);
  request.tier = {level, false};
  request.delays = policy.delays;
  int64_t timeout_ns = policy.timeout_ns;
  if (policy.allows_override && arrival.timeout_ns > 0) timeout_ns = std::min(timeout_ns, arrival.timeout_ns);
  if (timeout_ns > 0) request.deadline_ns = now_ns_ + timeout_ns;
  request.joined = ++joined_;

  const auto of_level = std::ranges::count_if(waiting_, [&](const auto& e) { return e.second.tier.first == level; });
  const int64_t most = setup_.options.batching.max_queue_size;
  const bool full = (policy.max_size > 0 && of_level >= policy.max_size) ||
                    (most > 0 && static_cast<int64_t>(waiting_.size()) >= most);
  const int64_t wait_ns = core_.predicted_wait_ns(now_ns_);
  const bool slow = setup_.options.max_predicted_wait_ns > 0 && wait_ns > setup_.options.max_predicted_wait_ns;

  const Admission admission = core_.submit(std::move(arrival), now_ns_);
  rule(admission.verdict != Verdict::kStopping, "nobody is told that a scheduler stops that does not");
  rule((admission.verdict == Verdict::kQueueFull) == full, "a request is refused if and only if its queue is full");
  rule(admission.verdict != Verdict::kOverloaded ||
           (slow && admission.predicted_wait_ns > setup_.options.max_predicted_wait_ns),
       "a request is refused only if the predicted wait is too long");
  if (setup_.options.levels == 1 && slow && !full) {
    rule(admission.verdict == Verdict::kOverloaded, "a request is refused if the predicted wait is too long");
  }
  if (admission.verdict != Verdict::kQueued) return;
  rule(waiting_.emplace(admission.ticket, request).second, "a ticket belongs to one request at a time");
}

void RandomRun::cancel() {
  if (waiting_.empty()) return;
  auto chosen = waiting_.begin();
  std::advance(chosen, draw(0, static_cast<int64_t>(waiting_.size()) - 1));
  core_.cancel(chosen->first);
  waiting_.erase(chosen);
}

void RandomRun::end_due() {
  for (size_t number = 0; number < instances_.size(); ++number) {
    Instance& instance = instances_[number];
    while (!instance.ends_ns.empty() && instance.ends_ns.front() <= now_ns_) {
      instance.ends_ns.pop_front();
      ++instance.unreleased;
      core_.ended(number, now_ns_);
      core_.answered(draw(1, 1000), now_ns_);
    }
  }
}

void RandomRun::release_some() {
  for (size_t number = 0; number < instances_.size(); ++number) {
    Instance& instance = instances_[number];
    while (instance.unreleased > 0 && (core_.stopping() || draw(0, 3) > 0)) {
      --instance.unreleased;
      core_.release_slot(number);
    }
  }
}

// After the stop: none.
void RandomRun::hold_some() {
  for (size_t number = 0; number < instances_.size(); ++number) {
    instances_[number].held = !core_.stopping() && draw(0, 4) == 0;
    core_.set_held(number, instances_[number].held);
  }
}

void RandomRun::expire() {
  std::set<Ticket> refused;
  for (const Ticket ticket : core_.expire(now_ns_)) refused.insert(ticket);
  std::vector<std::pair<int64_t, Ticket>> delayed;
  for (const auto& [ticket, request] : waiting_) {
    const bool is_over = request.deadline_ns && *request.deadline_ns <= now_ns_;
    rule(refused.contains(ticket) == (is_over && !request.delays),
         "who has waited too long is refused, and nobody else");
    if (is_over && request.delays) delayed.emplace_back(*request.deadline_ns, ticket);
  }
  for (const Ticket ticket : refused) rule(waiting_.erase(ticket) == 1, "only who waits is refused");
  std::ranges::sort(delayed);
  std::optional<int64_t> before_ns;
  for (const auto& [deadline_ns, ticket] : delayed) {
    // Those of one deadline may be delayed in any order.
    if (deadline_ns != before_ns) ++joined_;
    before_ns = deadline_ns;
    Waiting& request = waiting_.at(ticket);
    request.tier.second = true;
    request.joined = joined_;
    request.passed_over = 0;
    request.deadline_ns.reset();
  }
  std::optional<int64_t> next_ns;
  for (const auto& [ticket, request] : waiting_) {
    if (request.deadline_ns && (!next_ns || *request.deadline_ns < *next_ns)) next_ns = request.deadline_ns;
  }
  rule(core_.next_expiry_ns() == next_ns, "the next time-out is told");
}

void RandomRun::dispatch() {
  while (dispatch_one()) {
  }
}

// Asks every instance, in any order.
bool RandomRun::dispatch_one() {
  std::vector<size_t> order(instances_.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::shuffle(order, random_);
  std::optional<size_t> taker;
  for (const size_t number : order) {
    if (!has_free_slot(number)) continue;
    const Decision decision = core_.decide(number, now_ns_);
    rule(!decision.wake_at_ns || *decision.wake_at_ns > now_ns_, "an instance is woken in the future");
    if (!decision.take) continue;
    rule(may_take(number), "a held instance takes nothing");
    rule(!taker, "one instance takes a batch at a time");
    taker = number;
  }
  if (!taker) return false;
  rule(core_.next_instance(now_ns_) == taker, "the instance to wake is the one that takes");
  launch(*taker);
  return true;
}

void RandomRun::launch(size_t instance) {
  const bool was_stopping = core_.stopping();
  const int64_t delay_ns = core_.queue_delay_ns();
  const TakenBatch batch = core_.take(instance, now_ns_);
  check_batch(instance, batch, was_stopping);
  check_order(batch);
  if (setup_.options.buckets) {
    check_lower_tiers_only_fill(batch);
    pass_over(batch, delay_ns);
  }
  for (const Ticket ticket : batch.tickets) waiting_.erase(ticket);
  std::deque<int64_t>& ends_ns = instances_[instance].ends_ns;
  const int64_t start_ns = ends_ns.empty() ? now_ns_ : ends_ns.back();
  ends_ns.push_back(start_ns + (batch.gear ? setup_.costs_ns[*batch.gear] : draw(20, 200)));
}

// After stop() time goes on until nothing waits or executes.
void RandomRun::drain() {
  rule(core_.submit({}, now_ns_).verdict == Verdict::kStopping, "who comes after the stop is refused");
  for (;;) {
    end_due();
    release_some();
    expire();
    dispatch();
    check_nobody_waits_in_vain();
    check_accounts();
    std::optional<int64_t> next_ns;
    for (const Instance& instance : instances_) {
      if (instance.ends_ns.empty()) continue;
      next_ns = std::min(next_ns.value_or(instance.ends_ns.front()), instance.ends_ns.front());
    }
    if (!next_ns) break;
    now_ns_ = *next_ns;
  }
  rule(waiting_.empty() && core_.queued() == 0, "after the stop everything leaves");
}

bool RandomRun::has_free_slot(size_t instance) const {
  return instances_[instance].ends_ns.size() + instances_[instance].unreleased < setup_.slots;
}

int64_t RandomRun::most_rows(int64_t length) const {
  int64_t most = 0;
  for (const auto& [rows, longest] : setup_.gears) {
    if (longest >= length) most = std::max(most, rows);
  }
  return std::min(most, setup_.options.batching.max_batch_size);
}

const QueuePolicy& RandomRun::policy_of(int64_t level) const {
  const auto own = setup_.options.policies.find(level);
  return own == setup_.options.policies.end() ? setup_.options.default_policy : own->second;
}

void RandomRun::check_accounts() const {
  rule(core_.queued() == waiting_.size(), "what is queued is what was and has not left");
  for (size_t number = 0; number < instances_.size(); ++number) {
    rule(core_.has_free_slot(number) == has_free_slot(number), "slots are free when they are");
  }
}

void RandomRun::check_nobody_waits_in_vain() const {
  const bool holds_back = !setup_.options.buckets && !core_.stopping() && setup_.options.batching.dynamic_batching;
  const int64_t delay_ns = holds_back ? core_.queue_delay_ns() : 0;
  bool is_one_idle = false;
  for (size_t number = 0; number < instances_.size(); ++number) {
    is_one_idle |= is_idle(number) && may_take(number);
  }
  if (!is_one_idle || waiting_.empty()) return;
  int64_t oldest_ns = now_ns_;
  for (const auto& [ticket, request] : waiting_) oldest_ns = std::min(oldest_ns, request.arrival_ns);
  rule(now_ns_ - oldest_ns < delay_ns, "nobody waits beyond the queue delay while an instance is idle");
  const std::optional<size_t> next = core_.next_instance(now_ns_);
  rule(next && is_idle(*next), "the instance to wake is an idle one");
  const std::optional<int64_t> wake_ns = core_.decide(*next, now_ns_).wake_at_ns;
  rule(wake_ns && *wake_ns <= oldest_ns + delay_ns, "who is held back is not forgotten");
}

}  // namespace npuserve::batching::test
