#include "replay.h"

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

namespace npuserve::simulation {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

class Replay {
 public:
  Replay(const Traffic& traffic, size_t requests, Contestant& contestant, Devices& devices)
      : traffic_(traffic), contestant_(contestant), devices_(devices), is_done_(requests, false) {
    latencies_ns_.reserve(requests);
  }

  // Of events at one time the end of a batch is first: what arrives then finds the device free.
  Outcome run() {
    const int64_t first_ns = traffic_.ended() ? 0 : traffic_.front().arrival_ns;
    for (;;) {
      const std::optional<size_t> device = devices_.next();
      const int64_t end_ns = device ? devices_.next_end_ns(*device) : kNever;
      const int64_t arrival_ns = traffic_.ended() ? kNever : traffic_.front().arrival_ns;
      const int64_t wake_ns = contestant_.wake_at_ns().value_or(kNever);
      const int64_t now_ns = std::min({end_ns, arrival_ns, wake_ns});
      if (now_ns == kNever) break;
      if (now_ns < now_ns_) throw std::logic_error("the scheduler asked for a time that is past");
      now_ns_ = now_ns;
      if (end_ns == now_ns) {
        end(*device);
      } else if (arrival_ns == now_ns) {
        arrive();
      } else {
        contestant_.wake(now_ns);
        if (contestant_.wake_at_ns() == wake_ns) throw std::logic_error("the scheduler wakes for nothing");
      }
    }
    return outcome(first_ns);
  }

 private:
  void arrive() {
    const Request request = traffic_.front();
    traffic_.pop();
    if (contestant_.arrive(request, now_ns_)) return;
    settle(request);
    ++refused_;
  }

  void end(size_t device) {
    const Batch batch = devices_.pop(device);
    for (const Request& request : batch.requests) {
      settle(request);
      latencies_ns_.push_back(now_ns_ - request.arrival_ns);
    }
    last_answer_ns_ = now_ns_;
    contestant_.ended(device, batch, now_ns_);
  }

  void settle(const Request& request) {
    if (is_done_[request.number]) {
      throw std::logic_error("request " + std::to_string(request.number) + " was answered twice");
    }
    is_done_[request.number] = true;
  }

  Outcome outcome(int64_t first_ns) {
    Outcome outcome;
    outcome.requests = is_done_.size();
    outcome.answered = latencies_ns_.size();
    outcome.refused = refused_;
    outcome.lost = outcome.requests - outcome.answered - outcome.refused;
    if (latencies_ns_.empty()) return outcome;
    const auto span_ns = static_cast<double>(last_answer_ns_ - first_ns);
    outcome.throughput = static_cast<double>(outcome.answered) / span_ns * 1e9;
    outcome.p50_ms = percentile_ms(latencies_ns_, 0.5);
    outcome.p99_ms = percentile_ms(latencies_ns_, 0.99);
    outcome.max_ms = percentile_ms(latencies_ns_, 1);
    outcome.padding_waste = 1 - static_cast<double>(devices_.useful_tokens()) / static_cast<double>(devices_.tokens());
    outcome.utilization = static_cast<double>(devices_.busy_ns()) / span_ns / static_cast<double>(devices_.size());
    outcome.mean_rows = static_cast<double>(outcome.answered) / static_cast<double>(devices_.batches());
    return outcome;
  }

  Traffic traffic_;
  Contestant& contestant_;
  Devices& devices_;
  int64_t now_ns_ = 0;
  int64_t last_answer_ns_ = 0;
  size_t refused_ = 0;
  std::vector<bool> is_done_;
  std::vector<int64_t> latencies_ns_;
};

}  // namespace

Outcome replay(const Traffic& traffic, size_t requests, Contestant& contestant, Devices& devices) {
  return Replay(traffic, requests, contestant, devices).run();
}

}  // namespace npuserve::simulation
