#include "batching/expiry_heap.h"

namespace npuserve::batching {

void ExpiryHeap::add(Ticket ticket, int64_t expires_ns) {
  if (ticket >= places_.size()) places_.resize(size_t{ticket} + 1);
  heap_.emplace_back();
  rise(heap_.size() - 1, {.expires_ns = expires_ns, .sequence = next_sequence_++, .ticket = ticket});
}

void ExpiryHeap::remove(Ticket ticket) {
  if (ticket >= places_.size() || places_[ticket] == 0) return;
  const size_t at = places_[ticket] - 1;
  places_[ticket] = 0;
  const Expiry last = heap_.back();
  heap_.pop_back();
  if (at == heap_.size()) return;
  // The last fills the gap, and goes from there to where it belongs: one of the two has nothing to do.
  sink(at, last);
  rise(places_[last.ticket] - 1, last);
}

std::optional<Ticket> ExpiryHeap::pop(int64_t now_ns) {
  if (heap_.empty() || heap_.front().expires_ns > now_ns) return std::nullopt;
  const Ticket ticket = heap_.front().ticket;
  remove(ticket);
  return ticket;
}

std::optional<int64_t> ExpiryHeap::next_ns() const {
  if (heap_.empty()) return std::nullopt;
  return heap_.front().expires_ns;
}

bool ExpiryHeap::is_earlier(const Expiry& one, const Expiry& other) {
  if (one.expires_ns != other.expires_ns) return one.expires_ns < other.expires_ns;
  return one.sequence < other.sequence;
}

void ExpiryHeap::put(size_t at, const Expiry& expiry) {
  heap_[at] = expiry;
  places_[expiry.ticket] = at + 1;
}

void ExpiryHeap::rise(size_t at, const Expiry& expiry) {
  while (at > 0) {
    const size_t parent = (at - 1) / 2;
    if (!is_earlier(expiry, heap_[parent])) break;
    put(at, heap_[parent]);
    at = parent;
  }
  put(at, expiry);
}

void ExpiryHeap::sink(size_t at, const Expiry& expiry) {
  for (;;) {
    size_t child = 2 * at + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && is_earlier(heap_[child + 1], heap_[child])) ++child;
    if (!is_earlier(heap_[child], expiry)) break;
    put(at, heap_[child]);
    at = child;
  }
  put(at, expiry);
}

}  // namespace npuserve::batching
