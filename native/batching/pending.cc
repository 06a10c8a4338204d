#include "batching/pending.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace npuserve::batching {

void PendingQueue::push(core::Request request, Waiting waiting) {
  // Room first, doubled as push_back would, so that the second push cannot throw with the first one done.
  if (waiting_.size() == waiting_.capacity()) waiting_.reserve(2 * waiting_.size() + 16);
  requests_.push_back(std::move(request));
  waiting_.push_back(std::move(waiting));
}

std::vector<core::Request> PendingQueue::take(size_t count) {
  const auto first = requests_.begin() + static_cast<std::ptrdiff_t>(head_);
  std::vector<core::Request> taken(std::make_move_iterator(first),
                                   std::make_move_iterator(first + static_cast<std::ptrdiff_t>(count)));
  head_ += count;
  drop_taken();
  return taken;
}

std::optional<core::Request> PendingQueue::remove(uint64_t token) {
  const auto first = requests_.begin() + static_cast<std::ptrdiff_t>(head_);
  const auto found = std::find_if(first, requests_.end(), [token](const auto& r) { return r.token == token; });
  if (found == requests_.end()) return std::nullopt;
  std::optional<core::Request> removed(std::move(*found));
  const auto waiting = waiting_.begin() + (found - requests_.begin());
  if (found - first > requests_.end() - found) {
    waiting_.erase(waiting);
    requests_.erase(found);
    return removed;
  }
  // The side towards the head is the shorter: who leaves a long queue from its head on moves nothing.
  std::move_backward(waiting_.begin() + static_cast<std::ptrdiff_t>(head_), waiting, waiting + 1);
  std::move_backward(first, found, found + 1);
  ++head_;
  drop_taken();
  return removed;
}

void PendingQueue::drop_taken() {
  if (head_ * 2 < requests_.size()) return;
  const auto count = static_cast<std::ptrdiff_t>(head_);
  requests_.erase(requests_.begin(), requests_.begin() + count);
  waiting_.erase(waiting_.begin(), waiting_.begin() + count);
  head_ = 0;
}

}  // namespace npuserve::batching
