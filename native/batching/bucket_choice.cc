#include "batching/bucket_choice.h"

#include <algorithm>
#include <utility>

namespace npuserve::batching {
namespace {

// Efficiencies that differ by less count as equal. Small batches that waste more cost throughput that the table does
// not know of: what surrounds an execution.
constexpr double kEqual = 0.97;

// A batch that wastes no more need not wait for later requests, nor run in more rows for those of later tiers.
constexpr double kGoodEnough = 0.95;

// The rows of a line that go into `room`: its first requests, up to the one that does not fit. `without`: one that is
// counted elsewhere.
int64_t fitting_rows(const RequestQueue& queue, const Line& line, int64_t room, std::optional<Ticket> without) {
  const int64_t left_out = without ? queue[*without].waiting.rows : 0;
  if (line.rows - left_out <= room) return line.rows - left_out;
  if (line.has_single_rows()) return room;
  int64_t rows = 0;
  for (Ticket at = line.first; at != kNoTicket && rows < room; at = queue[at].behind) {
    if (at == without) continue;
    if (rows + queue[at].waiting.rows > room) break;
    rows += queue[at].waiting.rows;
  }
  return rows;
}

bool is_of_single_rows(const RequestQueue& queue, size_t tier) {
  for (size_t line = 0; line < queue.lines(); ++line) {
    if (!queue.line(tier, line).has_single_rows()) return false;
  }
  return true;
}

// The requests of some lines of a tier: in the order in which they came, or the leader and then line by line. The queue
// must not change meanwhile, but that a request is removed after the next one was asked for.
class Walk {
 public:
  // heads: room to work in.
  Walk(const RequestQueue& queue, size_t tier, const std::vector<size_t>& lines, bool by_age, Ticket leader,
       std::vector<Ticket>& heads)
      : queue_(queue), by_age_(by_age), leader_(by_age ? kNoTicket : leader), heads_(heads) {
    heads_.clear();
    for (size_t i = lines.size(); i-- > 0;) {
      const Line& line = queue.line(tier, lines[i]);
      if (line.requests > 0) heads_.push_back(line.first);
    }
  }

  // kNoTicket after the last. Linear in the lines.
  Ticket next() {
    if (leader_ != kNoTicket && !std::exchange(has_led_, true)) return leader_;
    Ticket ticket = step();
    if (ticket == leader_) ticket = step();
    return ticket;
  }

 private:
  Ticket step() {
    if (heads_.empty()) return kNoTicket;
    const auto sequence = [&](Ticket ticket) { return queue_[ticket].sequence; };
    Ticket& head = by_age_ ? *std::ranges::min_element(heads_, {}, sequence) : heads_.back();
    const Ticket ticket = head;
    head = queue_[ticket].behind;
    if (head == kNoTicket) {
      head = heads_.back();
      heads_.pop_back();
    }
    return ticket;
  }

  const RequestQueue& queue_;
  const bool by_age_;
  const Ticket leader_;
  bool has_led_ = false;
  std::vector<Ticket>& heads_;
};

}  // namespace

BucketChooser::BucketChooser(const BucketTable& table, int64_t max_rows) {
  for (const Bucket& bucket : table.buckets()) {
    UsableBucket& usable = buckets_.emplace_back();
    usable.holds = bucket.holds;
    for (const BucketGear& gear : bucket.gears) {
      const int64_t rows = max_rows > 0 ? std::min(gear.rows, max_rows) : gear.rows;
      usable.gears.push_back({.gear = gear.gear, .rows = rows, .cost_ns = gear.cost_ns});
      const int64_t row_cost_ns = std::max<int64_t>(1, gear.cost_ns / rows);
      if (usable.row_cost_ns == 0 || row_cost_ns <= usable.row_cost_ns) {
        usable.row_cost_ns = row_cost_ns;
        usable.best_rows = rows;
      }
      // What follows is larger than a batch may be, and costs no less.
      if (rows < gear.rows) break;
    }
  }
  for (size_t i = buckets_.size(); i-- > 0;) {
    for (const size_t held : buckets_[i].holds) {
      buckets_[held].row_cost_ns = std::min(buckets_[held].row_cost_ns, buckets_[i].row_cost_ns);
    }
    for (UsableGear& gear : buckets_[i].gears) {
      gear.best_efficiency =
          static_cast<double>(gear.rows * buckets_[i].row_cost_ns) / static_cast<double>(gear.cost_ns);
    }
  }
}

BucketChoice BucketChooser::fill(const RequestQueue& queue, size_t tier, size_t bucket, const UsableGear& gear,
                                 std::optional<Ticket> leader, size_t oldest_line) const {
  BucketChoice choice = begin(bucket, queue, leader);
  choice.has_all = true;
  for (const size_t held : buckets_[bucket].holds) {
    const Line& line = queue.line(tier, held);
    if (line.requests == 0) continue;
    const std::optional<Ticket> counted = held == oldest_line ? leader : std::nullopt;
    const int64_t left_out = counted ? queue[*counted].waiting.rows : 0;
    const int64_t rows = fitting_rows(queue, line, gear.rows - choice.rows, counted);
    choice.rows += rows;
    choice.useful_ns += rows * buckets_[held].row_cost_ns;
    choice.has_all &= rows + left_out == line.rows;
  }
  rate(gear, choice);
  return choice;
}

// The same where every request is one row. Then a gear of more rows takes what those before it take, and more: all
// gears of a bucket together cost a walk over its lines.
void BucketChooser::grow(const RequestQueue& queue, size_t tier, const UsableGear& gear, size_t oldest_line,
                         Growing& growing) const {
  BucketChoice& choice = growing.choice;
  const std::vector<size_t>& holds = buckets_[choice.bucket].holds;
  for (; growing.at < holds.size(); ++growing.at, growing.taken = 0) {
    const size_t held = holds[growing.at];
    const bool has_leader = choice.leader && held == oldest_line;
    const int64_t left = queue.line(tier, held).rows - (has_leader ? 1 : 0) - growing.taken;
    const int64_t rows = std::min(left, gear.rows - choice.rows);
    choice.rows += rows;
    choice.useful_ns += rows * buckets_[held].row_cost_ns;
    growing.taken += rows;
    if (rows < left) break;
  }
  choice.has_all = growing.at == holds.size();
  rate(gear, choice);
}

BucketChoice BucketChooser::begin(size_t bucket, const RequestQueue& queue, std::optional<Ticket> leader) const {
  BucketChoice choice;
  choice.bucket = bucket;
  if (!leader) return choice;
  choice.leader = leader;
  choice.rows = queue[*leader].waiting.rows;
  choice.useful_ns = choice.rows * buckets_[queue[*leader].line].row_cost_ns;
  return choice;
}

void BucketChooser::rate(const UsableGear& gear, BucketChoice& choice) const {
  choice.gear = gear;
  choice.efficiency = static_cast<double>(choice.useful_ns) / static_cast<double>(gear.cost_ns);
  choice.is_final = choice.rows >= buckets_[choice.bucket].best_rows && choice.efficiency >= kGoodEnough;
}

std::optional<BucketChoice> BucketChooser::choose(const RequestQueue& queue, size_t tier,
                                                  std::optional<Ticket> leader) const {
  const size_t oldest_line = queue[leader ? *leader : queue.oldest(tier)].line;
  std::optional<BucketChoice> best;
  const auto consider = [&](const BucketChoice& choice) {
    const bool is_better = !best || choice.efficiency > best->efficiency ||
                           (choice.efficiency == best->efficiency && choice.rows > best->rows);
    if (is_better) best = choice;
  };
  const bool has_single_rows = is_of_single_rows(queue, tier);
  for (size_t i = 0; i < buckets_.size(); ++i) {
    const UsableBucket& bucket = buckets_[i];
    Growing growing{.choice = begin(i, queue, leader)};
    if (leader && std::ranges::find(bucket.holds, oldest_line) == bucket.holds.end()) continue;
    for (const UsableGear& gear : bucket.gears) {
      if (leader && queue[*leader].waiting.rows > gear.rows) continue;
      if (best && gear.best_efficiency < kEqual * best->efficiency) continue;
      if (has_single_rows) {
        grow(queue, tier, gear, oldest_line, growing);
      } else {
        growing.choice = fill(queue, tier, i, gear, leader, oldest_line);
      }
      const BucketChoice& choice = growing.choice;
      if (choice.rows > 0) consider(choice);
      if (choice.has_all) break;  // a larger gear costs more and has no more to do
    }
  }
  if (best) {
    // What is queued could make a full batch: that another leaves some of it out does not change that.
    const bool is_final = best->is_final;
    const double enough = kEqual * best->efficiency;
    if (const auto choice = choose_by_waiting(queue, tier, leader, enough)) best = choice;
    best->is_final |= is_final;
  }
  const bool may_grow = best && !best->is_final && queue.next_tier(tier + 1) != queue.tiers();
  return may_grow ? with_later_tiers(queue, tier, *best, oldest_line) : best;
}

// The batch that ends most waiting for its cost, of those that waste no more than is allowed.
std::optional<BucketChoice> BucketChooser::choose_by_waiting(const RequestQueue& queue, size_t tier,
                                                             std::optional<Ticket> leader,
                                                             double least_efficiency) const {
  std::optional<BucketChoice> best;
  double most_ended = 0;
  std::vector<Ticket> heads;
  for (size_t i = 0; i < buckets_.size(); ++i) {
    const std::vector<size_t>& holds = buckets_[i].holds;
    if (leader && std::ranges::find(holds, queue[*leader].line) == holds.end()) continue;
    for (const bool by_age : {true, false}) {
      Walk walk(queue, tier, holds, by_age, leader.value_or(kNoTicket), heads);
      BucketChoice choice = begin(i, queue, std::nullopt);
      choice.is_by_age = by_age;
      choice.leader = leader;
      double waiting = 0;  // of all its requests: how many have come since
      Ticket next = walk.next();
      for (const UsableGear& gear : buckets_[i].gears) {
        for (; next != kNoTicket && choice.rows + queue[next].waiting.rows <= gear.rows; next = walk.next()) {
          const QueuedRequest& request = queue[next];
          choice.rows += request.waiting.rows;
          choice.useful_ns += request.waiting.rows * buckets_[request.line].row_cost_ns;
          waiting += static_cast<double>(queue.next_sequence() - request.sequence);
        }
        const double ended = waiting / static_cast<double>(gear.cost_ns);
        rate(gear, choice);
        if (choice.efficiency >= least_efficiency && ended > most_ended) {
          best = choice;
          most_ended = ended;
        }
        if (next == kNoTicket) break;  // a larger gear costs more and has no more to do
      }
    }
  }
  return best;
}

// Counts what take() will add from later tiers.
void BucketChooser::fill_up(const RequestQueue& queue, size_t tier, BucketChoice& choice) const {
  int64_t room = choice.gear.rows - choice.rows;
  for (tier = queue.next_tier(tier + 1); tier < queue.tiers() && room > 0; tier = queue.next_tier(tier + 1)) {
    for (const size_t held : buckets_[choice.bucket].holds) {
      const int64_t rows = fitting_rows(queue, queue.line(tier, held), room, std::nullopt);
      room -= rows;
      choice.useful_ns += rows * buckets_[held].row_cost_ns;
    }
  }
  choice.efficiency = static_cast<double>(choice.useful_ns) / static_cast<double>(choice.gear.cost_ns);
}

// The same batch, or one in a gear of more rows if that is more efficient by more than what counts as equal.
BucketChoice BucketChooser::with_later_tiers(const RequestQueue& queue, size_t tier, BucketChoice choice,
                                             size_t oldest_line) const {
  fill_up(queue, tier, choice);
  for (const UsableGear& gear : buckets_[choice.bucket].gears) {
    if (gear.rows <= choice.gear.rows) continue;
    BucketChoice larger = fill(queue, tier, choice.bucket, gear, choice.leader, oldest_line);
    fill_up(queue, tier, larger);
    if (kGoodEnough * larger.efficiency > choice.efficiency) choice = larger;
  }
  return choice;
}

void BucketChooser::take(RequestQueue& queue, size_t tier, const BucketChoice& choice,
                         std::vector<Ticket>& taken) const {
  int64_t room = choice.gear.rows;
  const auto take_one = [&](Ticket ticket) {
    room -= queue[ticket].waiting.rows;
    taken.push_back(ticket);
    queue.remove(ticket);
  };
  const std::vector<size_t>& holds = buckets_[choice.bucket].holds;
  if (choice.is_by_age) {
    std::vector<Ticket> heads;
    Walk walk(queue, tier, holds, true, kNoTicket, heads);
    for (Ticket next = walk.next(); next != kNoTicket && queue[next].waiting.rows <= room;) {
      const Ticket ticket = std::exchange(next, walk.next());
      take_one(ticket);
    }
  } else if (choice.leader) {
    take_one(*choice.leader);
  }
  for (; tier < queue.tiers() && room > 0; tier = queue.next_tier(tier + 1)) {
    for (const size_t held : holds) {
      while (room > 0) {
        const Ticket first = queue.line(tier, held).first;
        if (first == kNoTicket || queue[first].waiting.rows > room) break;
        take_one(first);
      }
    }
  }
}

}  // namespace npuserve::batching
