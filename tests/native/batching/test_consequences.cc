// What the decisions for equal shapes amount to: Triton's table of observed executions (M = 8, one instance unless
// said), replayed in virtual time. Where Triton's result depends on a race between arrivals and its batcher thread,
// both orders are given. The differences are marked; all come from one: a batch that can still grow is not closed while
// the device is busy.
#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <numeric>
#include <optional>
#include <vector>

#include "batching/scheduler_core.h"

using npuserve::batching::Admission;
using npuserve::batching::Arrival;
using npuserve::batching::BucketTable;
using npuserve::batching::PolicyOptions;
using npuserve::batching::SchedulerCore;
using npuserve::batching::Ticket;
using npuserve::batching::Verdict;

namespace {

constexpr int64_t kMs = 1'000'000;
constexpr size_t kSlots = 2;

struct Execution {
  int64_t rows;
  int64_t start_ns;  // when the device turns to it
};

// Instances with two slots each, on devices of their own that take `execution_ns` per batch, one after another.
class VirtualServer {
 public:
  VirtualServer(const PolicyOptions& options, int64_t execution_ns, size_t instances = 1)
      : core_({.batching = options}, BucketTable(), devices(instances), kSlots),
        execution_ns_(execution_ns),
        ends_(instances) {}

  // All arrive before the batcher looks.
  void arrive_together(const std::vector<Arrival>& requests) {
    for (const Arrival& request : requests) arrive(request);
  }

  // Each arrives, and is looked at, before the next; all within no time.
  void arrive_one_by_one(const std::vector<Arrival>& requests) {
    for (const Arrival& request : requests) {
      arrive(request);
      dispatch();
    }
  }

  // Runs until all is done. Returns the executions in the order in which they were dispatched.
  std::vector<Execution> run() {
    dispatch();
    while (const std::optional<int64_t> next = next_change()) {
      now_ns_ = *next;
      for (size_t i = 0; i < ends_.size(); ++i) {
        if (ends_[i].empty() || ends_[i].front() > now_ns_) continue;
        ends_[i].pop_front();
        core_.ended(i, now_ns_);
        core_.release_slot(i);
      }
      dispatch();
    }
    CHECK(core_.queued() == 0);
    return executions_;
  }

 private:
  static std::vector<int> devices(size_t instances) {
    std::vector<int> numbers(instances);
    std::iota(numbers.begin(), numbers.end(), 0);
    return numbers;
  }

  void arrive(const Arrival& request) {
    const Admission admission = core_.submit(request, now_ns_);
    REQUIRE(admission.verdict == Verdict::kQueued);
    rows_.resize(std::max<size_t>(rows_.size(), admission.ticket + 1));
    rows_[admission.ticket] = request.rows;
  }

  void dispatch() {
    while (const std::optional<size_t> instance = core_.next_instance(now_ns_)) {
      if (!core_.decide(*instance, now_ns_).take) return;
      execute(*instance);
    }
  }

  void execute(size_t instance) {
    int64_t rows = 0;
    for (const Ticket ticket : core_.take(instance, now_ns_).tickets) rows += rows_[ticket];
    std::deque<int64_t>& ends = ends_[instance];
    const int64_t start_ns = ends.empty() ? now_ns_ : ends.back();
    executions_.push_back({rows, start_ns});
    ends.push_back(start_ns + execution_ns_);
  }

  std::optional<int64_t> next_change() const {
    std::optional<int64_t> next;
    const auto consider = [&](int64_t at) { next = std::min(at, next.value_or(at)); };
    for (size_t i = 0; i < ends_.size(); ++i) {
      if (!ends_[i].empty()) consider(ends_[i].front());
      const std::optional<int64_t> wake = core_.decide(i, now_ns_).wake_at_ns;
      if (wake) consider(*wake);
    }
    return next;
  }

  SchedulerCore core_;
  const int64_t execution_ns_;
  std::vector<std::deque<int64_t>> ends_;  // per instance, of what is in flight
  std::vector<int64_t> rows_;              // by ticket
  std::vector<Execution> executions_;
  int64_t now_ns_ = 0;
};

std::vector<Arrival> requests(size_t count, int64_t rows = 1) {
  return std::vector<Arrival>(count, {.rows = rows, .arrival_ns = 0, .capacity_rows = 8});
}

PolicyOptions with(std::vector<int64_t> preferred, int64_t delay_ms, bool dynamic_batching = true) {
  return {.max_batch_size = 8,
          .dynamic_batching = dynamic_batching,
          .preferred_batch_sizes = std::move(preferred),
          .max_queue_delay_ns = delay_ms * kMs};
}

std::vector<int64_t> rows_of(const std::vector<Execution>& executions) {
  std::vector<int64_t> rows;
  for (const Execution& execution : executions) rows.push_back(execution.rows);
  return rows;
}

std::vector<int64_t> one_by_one(PolicyOptions options, const std::vector<Arrival>& load, int64_t execution_ms = 200,
                                size_t instances = 1) {
  VirtualServer server(std::move(options), execution_ms * kMs, instances);
  server.arrive_one_by_one(load);
  return rows_of(server.run());
}

std::vector<int64_t> together(PolicyOptions options, const std::vector<Arrival>& load, int64_t execution_ms = 200) {
  VirtualServer server(std::move(options), execution_ms * kMs);
  server.arrive_together(load);
  return rows_of(server.run());
}

using Rows = std::vector<int64_t>;

}  // namespace

TEST_CASE("no scheduler: each request is an execution") {
  CHECK(one_by_one(with({}, 0, false), requests(4)) == Rows{1, 1, 1, 1});
}

TEST_CASE("no delay: the first goes alone, the rest fills up while the device is busy") {
  CHECK(one_by_one(with({}, 0), requests(20)) == Rows{1, 8, 8, 3});
}

TEST_CASE("no delay, two instances") {
  // Triton: 1+3, then 8+8: its batcher had gathered three before it looked again. Here each instance looks by itself,
  // so the second request starts at once too, and the remainder of two is the price.
  CHECK(one_by_one(with({}, 0), requests(20), 200, 2) == Rows{1, 1, 8, 8, 2});
}

TEST_CASE("no delay: requests of three rows pair up") {
  CHECK(together(with({}, 0), requests(6, 3)) == Rows{6, 6, 6});
  CHECK(one_by_one(with({}, 0), requests(6, 3)) == Rows{3, 6, 6, 3});
}

TEST_CASE("a preferred size below the maximum") {
  CHECK(together(with({4}, 0), requests(20)) == Rows{4, 4, 4, 4, 4});
  CHECK(together(with({4}, 0), requests(7)) == Rows{4, 3});
  CHECK(one_by_one(with({4}, 0), requests(3)) == Rows{1, 2});
}

TEST_CASE("two preferred sizes") {
  CHECK(together(with({4, 8}, 0), requests(20)) == Rows{8, 8, 4});
  // Triton: 4,1,2, where the last three fell apart in an arrival race. Here they wait for the device together.
  CHECK(together(with({4, 8}, 0), requests(7)) == Rows{4, 3});
}

TEST_CASE("a delay is waited for unless the batch is full") {
  const PolicyOptions options = with({}, 100);
  CHECK(one_by_one(options, requests(1)) == Rows{1});
  CHECK(one_by_one(options, requests(3)) == Rows{3});
  CHECK(one_by_one(options, requests(8)) == Rows{8});
  CHECK(one_by_one(options, requests(9)) == Rows{8, 1});
  CHECK(one_by_one(options, requests(20)) == Rows{8, 8, 4});
}

TEST_CASE("the delay ends when it says") {
  VirtualServer three(with({}, 100), 10 * kMs);
  three.arrive_one_by_one(requests(3));
  CHECK(three.run().front().start_ns == 100 * kMs);
  VirtualServer eight(with({}, 100), 10 * kMs);
  eight.arrive_one_by_one(requests(8));
  CHECK(eight.run().front().start_ns == 0);
  VirtualServer nine(with({}, 100), 10 * kMs);
  nine.arrive_one_by_one(requests(9));
  CHECK(nine.run().back().start_ns == 100 * kMs);
}

TEST_CASE("preferred sizes with a delay") {
  const PolicyOptions options = with({2, 6}, 100);
  CHECK(one_by_one(options, requests(1), 10) == Rows{1});
  CHECK(one_by_one(options, requests(2), 10) == Rows{2});
  CHECK(one_by_one(options, requests(3), 10) == Rows{2, 1});
  CHECK(one_by_one(options, requests(8), 10) == Rows{2, 6});
}

TEST_CASE("late, a preferred size is ignored") { CHECK(one_by_one(with({2, 6}, 100), requests(9), 300) == Rows{2, 7}); }

TEST_CASE("alternating lengths never share") {
  std::vector<Arrival> load = requests(9);
  for (size_t i = 0; i < load.size(); ++i) load[i].row_shape = {i % 2 == 0 ? 16 : 32};
  CHECK(one_by_one(with({}, 0), load) == Rows(9, 1));
}

TEST_CASE("full batches are executed without a pause between them") {
  VirtualServer server(with({}, 0), 10 * kMs);
  server.arrive_together(requests(64));
  const std::vector<Execution> executions = server.run();
  REQUIRE(executions.size() == 8);
  for (size_t i = 0; i < executions.size(); ++i) CHECK(executions[i].start_ns == static_cast<int64_t>(i) * 10 * kMs);
}
