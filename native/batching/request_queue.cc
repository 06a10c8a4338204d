#include "batching/request_queue.h"

#include <bit>
#include <utility>

namespace npuserve::batching {
namespace {

constexpr size_t kBits = 64;

}  // namespace

RequestQueue::RequestQueue(size_t tiers, size_t lines)
    : lines_per_tier_(lines), lines_(tiers * lines), tier_sizes_(tiers), holding_((tiers + kBits - 1) / kBits) {}

Ticket RequestQueue::push(size_t tier, size_t line, Waiting waiting) {
  // Whatever throws does so before anything is linked. Room for all tickets, so that giving one back never allocates.
  if (free_.empty()) {
    if (free_.capacity() == requests_.size()) free_.reserve(2 * requests_.size() + 16);
    requests_.emplace_back();
    free_.push_back(static_cast<Ticket>(requests_.size() - 1));
  }
  const Ticket ticket = free_.back();
  free_.pop_back();
  QueuedRequest& request = requests_[ticket];
  request.waiting = std::move(waiting);
  request.line = line;
  link(ticket, tier);
  return ticket;
}

void RequestQueue::remove(Ticket ticket) {
  unlink(ticket);
  free_.push_back(ticket);
}

void RequestQueue::move(Ticket ticket, size_t tier) {
  unlink(ticket);
  link(ticket, tier);
}

size_t RequestQueue::next_tier(size_t tier) const {
  if (tier >= tiers()) return tiers();
  size_t word = tier / kBits;
  uint64_t bits = holding_[word] >> (tier % kBits) << (tier % kBits);
  while (bits == 0) {
    if (++word == holding_.size()) return tiers();
    bits = holding_[word];
  }
  return word * kBits + static_cast<size_t>(std::countr_zero(bits));
}

Ticket RequestQueue::next(Ticket ticket) const {
  const QueuedRequest& request = requests_[ticket];
  if (request.behind != kNoTicket) return request.behind;
  const size_t tier = next_tier(request.tier + 1);
  return tier == tiers() ? kNoTicket : line(tier, 0).first;
}

Ticket RequestQueue::oldest(size_t tier) const {
  Ticket oldest = kNoTicket;
  for (size_t i = 0; i < lines_per_tier_; ++i) {
    const Ticket first = line(tier, i).first;
    if (first == kNoTicket) continue;
    if (oldest == kNoTicket || requests_[first].sequence < requests_[oldest].sequence) oldest = first;
  }
  return oldest;
}

void RequestQueue::link(Ticket ticket, size_t tier) {
  QueuedRequest& request = requests_[ticket];
  Line& line = lines_[tier * lines_per_tier_ + request.line];
  request.tier = tier;
  request.sequence = next_sequence_++;
  request.before = line.last;
  request.behind = kNoTicket;
  (line.last == kNoTicket ? line.first : requests_[line.last].behind) = ticket;
  line.last = ticket;
  line.rows += request.waiting.rows;
  ++line.requests;
  if (tier_sizes_[tier]++ == 0) holding_[tier / kBits] |= uint64_t{1} << (tier % kBits);
  ++size_;
  ++changes_;
  if (next_tier(tier + 1) != tiers()) ++disruptions_;
}

void RequestQueue::unlink(Ticket ticket) {
  const QueuedRequest& request = requests_[ticket];
  const size_t tier = request.tier;
  Line& line = lines_[tier * lines_per_tier_ + request.line];
  (request.before == kNoTicket ? line.first : requests_[request.before].behind) = request.behind;
  (request.behind == kNoTicket ? line.last : requests_[request.behind].before) = request.before;
  line.rows -= request.waiting.rows;
  --line.requests;
  if (--tier_sizes_[tier] == 0) holding_[tier / kBits] &= ~(uint64_t{1} << (tier % kBits));
  --size_;
  ++changes_;
  ++disruptions_;
}

}  // namespace npuserve::batching
