// The requests that wait, in tiers that are served one after another. A tier has lines of requests that are alike to
// the batcher, each in order of arrival.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "batching/policy.h"

namespace npuserve::batching {

// A queued request, until it leaves the queue; then the number is given to another.
using Ticket = uint32_t;

constexpr Ticket kNoTicket = std::numeric_limits<Ticket>::max();

// The first and the last request of a line, and what lies between.
struct Line {
  Ticket first = kNoTicket;
  Ticket last = kNoTicket;
  int64_t rows = 0;
  int64_t requests = 0;

  bool has_single_rows() const { return rows == requests; }
};

struct QueuedRequest {
  Waiting waiting;
  uint64_t sequence = 0;  // grows from one request of a tier to those behind it, whatever their lines
  size_t tier = 0;
  size_t line = 0;
  Ticket before = kNoTicket;  // in its line
  Ticket behind = kNoTicket;
};

// Not synchronized. Constant time a call, but for what is said of tiers and lines; memory is kept for reuse.
class RequestQueue {
 public:
  // REQUIRES: at least one of each.
  RequestQueue(size_t tiers, size_t lines);

  // Queues a request as the last of its tier.
  Ticket push(size_t tier, size_t line, Waiting waiting);

  // REQUIRES, as all that take one: a ticket of a queued request.
  void remove(Ticket ticket);

  // Makes it the last of another tier.
  void move(Ticket ticket, size_t tier);

  const QueuedRequest& operator[](Ticket ticket) const { return requests_[ticket]; }

  // The tier served first of those that hold a request, from `tier` on; tiers() if none does. Linear in the tiers
  // that are empty, 64 at a time.
  size_t next_tier(size_t tier) const;

  const Line& line(size_t tier, size_t line) const { return lines_[tier * lines_per_tier_ + line]; }

  // The request served after this one, if tiers have one line; kNoTicket after the last.
  Ticket next(Ticket ticket) const;

  // The request that joined the tier first. Linear in its lines. REQUIRES: there is one.
  Ticket oldest(size_t tier) const;

  size_t tiers() const { return tier_sizes_.size(); }
  size_t lines() const { return lines_per_tier_; }
  size_t size(size_t tier) const { return tier_sizes_[tier]; }
  size_t size() const { return size_; }

  // More than that of any request that has come.
  uint64_t next_sequence() const { return next_sequence_; }

  // Grows with every change.
  uint64_t changes() const { return changes_; }

  // Grows with every change but that a request joins behind all others.
  uint64_t disruptions() const { return disruptions_; }

 private:
  void link(Ticket ticket, size_t tier);
  void unlink(Ticket ticket);

  const size_t lines_per_tier_;
  std::vector<Line> lines_;
  std::vector<size_t> tier_sizes_;
  std::vector<uint64_t> holding_;  // a bit a tier: whether it holds a request
  std::vector<QueuedRequest> requests_;
  std::vector<Ticket> free_;
  uint64_t next_sequence_ = 0;
  uint64_t changes_ = 0;
  uint64_t disruptions_ = 0;
  size_t size_ = 0;
};

}  // namespace npuserve::batching
