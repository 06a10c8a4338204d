#include "batching/bucket_choice.h"

#include <algorithm>

namespace npuserve::batching {
namespace {

// Efficiencies that differ by less count as equal.
constexpr double kEqual = 0.95;

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
    choice.has_oldest |= held == oldest_line && rows > 0;
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
    choice.has_oldest |= held == oldest_line && rows > 0;
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
  choice.has_oldest = true;
  choice.rows = queue[*leader].waiting.rows;
  choice.useful_ns = choice.rows * buckets_[queue[*leader].line].row_cost_ns;
  return choice;
}

void BucketChooser::rate(const UsableGear& gear, BucketChoice& choice) const {
  choice.gear = gear;
  choice.efficiency = static_cast<double>(choice.useful_ns) / static_cast<double>(gear.cost_ns);
  choice.is_final = choice.rows >= buckets_[choice.bucket].best_rows && choice.efficiency >= kEqual;
}

std::optional<BucketChoice> BucketChooser::choose(const RequestQueue& queue, size_t tier,
                                                  std::optional<Ticket> leader) const {
  const size_t oldest_line = queue[leader ? *leader : queue.oldest(tier)].line;
  std::optional<BucketChoice> best;
  std::optional<BucketChoice> best_with_oldest;
  const auto consider = [](std::optional<BucketChoice>& current, const BucketChoice& choice) {
    const bool is_better = !current || choice.efficiency > current->efficiency ||
                           (choice.efficiency == current->efficiency && choice.rows > current->rows);
    if (is_better) current = choice;
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
      if (choice.rows > 0) {
        consider(best, choice);
        if (choice.has_oldest) consider(best_with_oldest, choice);
      }
      if (choice.has_all) break;  // a larger gear costs more and has no more to do
    }
  }
  const bool is_equal = best && best_with_oldest && best_with_oldest->efficiency >= kEqual * best->efficiency;
  if (is_equal) best = best_with_oldest;
  const bool may_grow = best && !best->is_final && queue.next_tier(tier + 1) != queue.tiers();
  return may_grow ? with_later_tiers(queue, tier, *best, oldest_line) : best;
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
    if (kEqual * larger.efficiency > choice.efficiency) choice = larger;
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
  if (choice.leader) take_one(*choice.leader);
  for (; tier < queue.tiers() && room > 0; tier = queue.next_tier(tier + 1)) {
    for (const size_t held : buckets_[choice.bucket].holds) {
      while (room > 0) {
        const Ticket first = queue.line(tier, held).first;
        if (first == kNoTicket || queue[first].waiting.rows > room) break;
        take_one(first);
      }
    }
  }
}

}  // namespace npuserve::batching
