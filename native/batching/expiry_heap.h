// When each queued request times out, the next first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "batching/request_queue.h"

namespace npuserve::batching {

// A binary heap in which a request can be found by its ticket. Not synchronized. Logarithmic a change; of requests that
// time out at the same instant the one that was added first comes first.
class ExpiryHeap {
 public:
  // REQUIRES: the ticket is not in it.
  void add(Ticket ticket, int64_t expires_ns);

  // Without effect on a ticket that is not in it.
  void remove(Ticket ticket);

  // Takes out one that is due by now; none if none is.
  std::optional<Ticket> pop(int64_t now_ns);

  std::optional<int64_t> next_ns() const;

 private:
  struct Expiry {
    int64_t expires_ns;
    uint64_t sequence;
    Ticket ticket;
  };

  static bool is_earlier(const Expiry& one, const Expiry& other);
  void put(size_t at, const Expiry& expiry);
  void rise(size_t at, const Expiry& expiry);
  void sink(size_t at, const Expiry& expiry);

  std::vector<Expiry> heap_;
  std::vector<size_t> places_;  // by ticket: its place in the heap and 1, or 0
  uint64_t next_sequence_ = 0;
};

}  // namespace npuserve::batching
