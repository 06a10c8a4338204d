// Which gear to run, and over which of the requests that wait in buckets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "batching/buckets.h"
#include "batching/request_queue.h"

namespace npuserve::batching {

// A gear, as far as one batch can use it.
struct UsableGear {
  size_t gear = 0;  // its number in the signature
  int64_t rows = 0;
  int64_t cost_ns = 0;
  double best_efficiency = 0;  // with nothing but rows of its own bucket
};

struct BucketChoice {
  size_t bucket = 0;
  UsableGear gear;
  int64_t rows = 0;              // that the tier's requests fill
  int64_t useful_ns = 0;         // what these would cost, each in the gear that suits it best
  double efficiency = 0;         // useful_ns over the gear's cost
  bool has_all = false;          // every request of the tier is in it that the gear's bucket holds
  bool is_by_age = false;        // takes the requests as they came, else the longest first
  bool is_final = false;         // later requests could make it little better
  std::optional<Ticket> leader;  // the request that must be in it
};

// Immutable after construction. A line of the queue is a bucket.
class BucketChooser {
 public:
  // max_rows: of a batch; 0: as many as a gear has.
  BucketChooser(const BucketTable& table, int64_t max_rows);

  size_t buckets() const { return buckets_.size(); }
  int64_t row_cost_ns(size_t bucket) const { return buckets_[bucket].row_cost_ns; }

  // The best batch for the requests of a tier, with the leader if there is one. None if no gear holds what leads.
  // Of batches that waste little more than the best, among them those that take the requests as they came and smaller
  // ones, it is the one that ends most waiting for its cost: that keeps the slowest answers near the median.
  // Requests of later tiers that its bucket holds may have it run in more rows, where that wastes less: else a trickle
  // of urgent requests would keep the others waiting for ever.
  // Time in buckets and gears, and in the rows of a gear where requests bring several; not in what is queued.
  std::optional<BucketChoice> choose(const RequestQueue& queue, size_t tier, std::optional<Ticket> leader) const;

  // Takes the requests of the choice out of the queue, and fills the rows that its gear has free with requests of later
  // tiers. In the order of their rows.
  void take(RequestQueue& queue, size_t tier, const BucketChoice& choice, std::vector<Ticket>& taken) const;

 private:
  struct UsableBucket {
    std::vector<UsableGear> gears;
    std::vector<size_t> holds;
    int64_t row_cost_ns = 0;
    int64_t best_rows = 0;  // of the gear that is cheapest a row
  };

  // The choice of a gear, from which that of the bucket's next one is made.
  struct Growing {
    BucketChoice choice;
    size_t at = 0;      // the bucket's `holds` before this one are in it altogether
    int64_t taken = 0;  // rows of this one that are
  };

  BucketChoice begin(size_t bucket, const RequestQueue& queue, std::optional<Ticket> leader) const;
  void grow(const RequestQueue& queue, size_t tier, const UsableGear& gear, size_t oldest_line, Growing& growing) const;
  void rate(const UsableGear& gear, BucketChoice& choice) const;
  BucketChoice fill(const RequestQueue& queue, size_t tier, size_t bucket, const UsableGear& gear,
                    std::optional<Ticket> leader, size_t oldest_line) const;
  void fill_up(const RequestQueue& queue, size_t tier, BucketChoice& choice) const;
  std::optional<BucketChoice> choose_by_waiting(const RequestQueue& queue, size_t tier, std::optional<Ticket> leader,
                                                double least_efficiency) const;
  BucketChoice with_later_tiers(const RequestQueue& queue, size_t tier, BucketChoice choice, size_t oldest_line) const;

  std::vector<UsableBucket> buckets_;
};

}  // namespace npuserve::batching
