// What must be true of every batch that a random run is given.
#include <algorithm>
#include <limits>
#include <set>

#include "batching/random_run.h"
#include "batching/rule.h"

namespace npuserve::batching::test {

void RandomRun::check_batch(size_t instance, const TakenBatch& batch, bool was_stopping) const {
  rule(!batch.tickets.empty(), "who is told to take a batch gets one");
  rule(std::set(batch.tickets.begin(), batch.tickets.end()).size() == batch.tickets.size(),
       "a request has its rows once in a batch");
  int64_t rows = 0;
  for (const Ticket ticket : batch.tickets) {
    rule(waiting_.contains(ticket), "a batch is of requests that wait");
    const Waiting& request = waiting_.at(ticket);
    rule(!request.deadline_ns || *request.deadline_ns > now_ns_, "who has waited too long is not executed");
    rows += request.rows;
  }
  if (!is_idle(instance)) {
    for (size_t other = 0; other < instances_.size(); ++other) {
      rule(!is_idle(other) || !may_take(other), "a busy instance takes nothing while another is idle");
    }
  }
  rule(rows <= setup_.options.batching.max_batch_size, "no batch exceeds the maximum");
  const Waiting& first = waiting_.at(batch.tickets.front());
  if (!setup_.options.buckets) {
    rule(!batch.gear, "without buckets the scheduler chooses no gear");
    rule(batch.tickets.size() == 1 || setup_.options.batching.dynamic_batching,
         "without dynamic batching a batch is one request");
    for (const Ticket ticket : batch.tickets) {
      rule(waiting_.at(ticket).length == first.length, "without buckets a batch is of one row shape");
    }
    rule(rows <= most_rows(first.length), "no batch exceeds the largest gear of its row shape");
    return;
  }
  rule(batch.gear.has_value() && *batch.gear < setup_.gears.size(), "with buckets the gear is chosen");
  const auto& [gear_rows, gear_length] = setup_.gears[*batch.gear];
  rule(rows <= gear_rows, "no batch exceeds its gear's rows");
  for (const Ticket ticket : batch.tickets) {
    rule(waiting_.at(ticket).length <= gear_length, "no request is longer than its gear");
  }
  if (!is_idle(instance) && !was_stopping) {
    rule(first.tier == Tier{1, false}, "a busy instance takes nothing that later arrivals would go before");
  }
}

// Levels in order; without buckets all in order, with buckets those of one bucket.
void RandomRun::check_order(const TakenBatch& batch) const {
  const std::set<Ticket> taken(batch.tickets.begin(), batch.tickets.end());
  const auto bucket_of = [&](const Waiting& request) {
    return setup_.options.buckets ? table_.bucket_of(std::vector<int64_t>{request.length, request.length}) : 0;
  };
  const Tier led = waiting_.at(batch.tickets.front()).tier;
  Tier last = led;
  for (const Ticket ticket : batch.tickets) {
    const Waiting& request = waiting_.at(ticket);
    rule(request.tier >= last, "in a batch higher levels come first");
    last = request.tier;
    for (const auto& [other_ticket, other] : waiting_) {
      if (taken.contains(other_ticket)) continue;
      const bool is_before = other.tier == request.tier && other.joined < request.joined;
      rule(!is_before || bucket_of(other) != bucket_of(request), "those that are alike leave in order of arrival");
      rule(setup_.options.buckets || other.tier >= request.tier, "a lower level waits for the higher ones");
    }
  }
  for (const auto& [ticket, request] : waiting_) {
    rule(request.tier >= led, "a batch begins with the highest level that waits");
  }
}

// Where every request is one row; otherwise the first of a bucket may be too large for what is free.
void RandomRun::check_lower_tiers_only_fill(const TakenBatch& batch) const {
  if (!setup_.single_rows) return;
  const std::set<Ticket> taken(batch.tickets.begin(), batch.tickets.end());
  const Tier last = waiting_.at(batch.tickets.back()).tier;
  for (const auto& [ticket, request] : waiting_) {
    const bool fits = request.length <= setup_.gears[*batch.gear].second;
    rule(taken.contains(ticket) || !fits || request.tier >= last, "lower levels get the rows that higher ones leave");
  }
}

void RandomRun::pass_over(const TakenBatch& batch, int64_t delay_ns) {
  const std::set<Ticket> taken(batch.tickets.begin(), batch.tickets.end());
  const Tier led = waiting_.at(batch.tickets.front()).tier;
  int64_t oldest_taken = std::numeric_limits<int64_t>::max();
  for (const Ticket ticket : batch.tickets) {
    const Waiting& request = waiting_.at(ticket);
    if (request.tier == led) oldest_taken = std::min(oldest_taken, request.joined);
  }
  int64_t oldest = std::numeric_limits<int64_t>::max();
  for (const auto& [ticket, request] : waiting_) {
    if (request.tier == led) oldest = std::min(oldest, request.joined);
  }
  for (auto& [ticket, request] : waiting_) {
    if (taken.contains(ticket) || request.tier != led || request.joined >= oldest_taken) continue;
    ++request.passed_over;
    rule(request.passed_over <= setup_.options.max_overtaken, "nobody is overtaken by more batches than may be");
    // One that was timed out and delayed is behind those that are younger.
    const bool is_late = delay_ns > 0 && now_ns_ - request.arrival_ns >= delay_ns;
    rule(request.joined > oldest || !is_late, "nobody is overtaken beyond the queue delay");
  }
}

}  // namespace npuserve::batching::test
