#include "triton.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace npuserve::simulation {
namespace {

std::set<int64_t> preferred_sizes(const TritonOptions& options) {
  if (options.preferred_batch_sizes.empty()) return {options.max_batch_size};
  return {options.preferred_batch_sizes.begin(), options.preferred_batch_sizes.end()};
}

}  // namespace

Triton::Triton(const TritonOptions& options, const GearSet& gears, bool pads, Devices& devices)
    : max_rows_(static_cast<size_t>(options.max_batch_size)),
      preferred_(preferred_sizes(options)),
      largest_preferred_(static_cast<size_t>(*preferred_.rbegin())),
      delay_ns_(options.max_queue_delay_ns),
      gears_(gears),
      pads_(pads),
      devices_(devices) {}

bool Triton::arrive(const Request& request, int64_t now_ns) {
  queue_.push_back(request);
  run(now_ns);
  return true;
}

void Triton::ended(size_t /*device*/, const Batch& /*batch*/, int64_t now_ns) {
  hand_over(now_ns);
  run(now_ns);
}

void Triton::run(int64_t now_ns) {
  wake_at_ns_.reset();
  while (!queue_.empty() && ready_.size() < 2 * devices_.size()) {
    if (step(now_ns) == Step::kWait) return;
    hand_over(now_ns);
  }
}

Triton::Step Triton::step(int64_t now_ns) {
  Ready* growing = current();
  const Scan seen = scan(growing);
  const size_t in_current = growing != nullptr ? growing->requests.size() : 0;
  const int64_t age_ns = now_ns - queue_.front().arrival_ns;
  const bool late = delay_ns_ > 0 && age_ns >= delay_ns_;
  if (seen.has_best && !late) {
    dispatch(growing, seen, seen.best);
    return Step::kAgain;
  }
  if (seen.gathered == 0) {
    // What waits cannot join the batch that grows: it starts the next one.
    growing->saturated = true;
    return Step::kAgain;
  }
  const bool grows = growing != nullptr && !is_preferred(in_current);
  if (seen.send_now || in_current + seen.gathered >= largest_preferred_ || late || delay_ns_ == 0 || grows) {
    dispatch(growing, seen, seen.gathered);
    return Step::kAgain;
  }
  wake_at_ns_ = queue_.front().arrival_ns + delay_ns_;
  return Step::kWait;
}

Triton::Scan Triton::scan(const Ready* growing) const {
  Scan scan;
  const size_t in_current = growing != nullptr ? growing->requests.size() : 0;
  const Request& first = growing != nullptr ? growing->requests.front() : queue_.front();
  for (const Request& request : queue_) {
    const size_t rows = in_current + scan.gathered;
    if (rows > 0) {
      if (rows + 1 > largest_preferred_ && !scan.has_best) {
        scan.has_best = true;
        scan.best = scan.gathered;
        scan.saturated = true;
      }
      if (rows + 1 > max_rows_) {
        scan.send_now = true;
        break;
      }
      if (sent_length(request) != sent_length(first)) {
        scan.send_now = true;
        scan.saturated = true;
        break;
      }
    }
    ++scan.gathered;
    if (is_preferred(rows + 1)) {
      scan.has_best = true;
      scan.best = scan.gathered;
    }
  }
  return scan;
}

void Triton::dispatch(Ready* growing, const Scan& scan, size_t count) {
  if (growing == nullptr) {
    ready_.emplace_back();
    growing = &ready_.back();
  }
  const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(count);
  growing->requests.insert(growing->requests.end(), queue_.begin(), end);
  queue_.erase(queue_.begin(), end);
  growing->saturated = scan.saturated;
}

void Triton::hand_over(int64_t now_ns) {
  for (size_t device = 0; device < devices_.size() && !ready_.empty(); ++device) {
    if (!devices_.idle(device)) continue;
    Ready taken = std::move(ready_.front());
    ready_.pop_front();
    swallow(taken, now_ns);
    const auto rows = static_cast<int64_t>(taken.requests.size());
    const Gear& gear = gears_.cheapest(rows, sent_length(taken.requests.front()));
    devices_.launch(device, std::move(taken.requests), gear, now_ns);
  }
}

// With a delay an instance merges the batches that lie ready, as far as they are late and fit.
void Triton::swallow(Ready& taken, int64_t now_ns) {
  if (delay_ns_ == 0 || taken.saturated) return;
  while (!ready_.empty()) {
    Ready& following = ready_.front();
    const bool fits = taken.requests.size() + following.requests.size() <= max_rows_;
    const bool alike = sent_length(taken.requests.front()) == sent_length(following.requests.front());
    const bool late = now_ns - following.requests.front().arrival_ns > delay_ns_;
    if (following.saturated || !fits || !alike || !late) return;
    std::ranges::move(following.requests, std::back_inserter(taken.requests));
    ready_.pop_front();
  }
}

Triton::Ready* Triton::current() {
  if (ready_.empty() || ready_.back().saturated) return nullptr;
  return &ready_.back();
}

}  // namespace npuserve::simulation
