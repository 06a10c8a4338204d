#include "batching/turns.h"

#include <algorithm>
#include <optional>
#include <tuple>

namespace npuserve::batching {

Turns::Seat Turns::add(SeatOptions options) {
  pools_.add(options.device, options.needs);
  Place place{.options = std::move(options)};
  place.options.priority = std::max<int64_t>(1, place.options.priority);
  // One that comes late is not owed the executions that the others had before.
  std::optional<int64_t> least;
  for (const auto& [seat, other] : places_) {
    const int64_t scaled = other.executions * other.options.priority;
    if (!other.options.needs.empty()) least = std::min(least.value_or(scaled), scaled);
  }
  place.executions = least.value_or(0) / place.options.priority;
  const Seat seat = ++last_seat_;
  flows_[key_of(place)].seats.push_back(seat);
  places_.emplace(seat, std::move(place));
  return seat;
}

void Turns::remove(Seat seat) {
  const auto place = places_.find(seat);
  leave(place->second, State::kAway);
  pools_.remove(place->second.options.device, place->second.options.needs);
  const auto flow = flows_.find(key_of(place->second));
  std::erase(flow->second.seats, seat);
  if (flow->second.seats.empty()) flows_.erase(flow);
  places_.erase(place);
}

bool Turns::take(Seat seat) {
  Place& place = places_.at(seat);
  wait(place);
  const int device = place.options.device;
  refresh_device(device);
  if (!may_go(seat)) return false;
  leave(place, State::kHere);
  ++place.executing;
  ++place.executions;
  pools_.take(device, place.options.needs);
  double& device_clock = clocks_[device];
  device_clock = std::max(device_clock, flows_.at(key_of(place)).clock);
  return true;
}

void Turns::charge(Seat seat, int64_t cost_ns) {
  const Place& place = places_.at(seat);
  Flow& flow = flows_.at(key_of(place));
  flow.lead = static_cast<double>(std::max<int64_t>(0, cost_ns)) / place.options.weight;
  flow.clock += flow.lead;
}

void Turns::give_back(Seat seat) {
  Place& place = places_.at(seat);
  --place.executing;
  pools_.give_back(place.options.device, place.options.needs);
}

bool Turns::withdraw(Seat seat) {
  Place& place = places_.at(seat);
  const State state = place.executing > 0 ? State::kHere : State::kAway;
  if (place.state == state) return false;
  leave(place, state);
  refresh_device(place.options.device);
  return true;
}

void Turns::set_backlogged(uint64_t model, bool backlogged) {
  for (auto& [key, flow] : flows_) {
    if (key.second != model) continue;
    flow.backlogged = backlogged;
    refresh(flow, clocks_[key.first]);
  }
}

std::vector<Turns::Seat> Turns::called() {
  std::vector<Seat> seats;
  if (waiting_ == 0) return seats;
  for (auto& [key, flow] : flows_) refresh(flow, clocks_[key.first]);
  for (auto& [seat, place] : places_) {
    if (place.state != State::kWaiting || !may_go(seat)) continue;
    place.state = State::kCalled;
    seats.push_back(seat);
  }
  return seats;
}

std::ranges::subrange<Turns::Flows::const_iterator> Turns::flows_of(int device) const {
  return {flows_.lower_bound({device, 0}), flows_.lower_bound({device + 1, 0})};
}

bool Turns::may_go(Seat seat) const {
  if (!has_resources(seat)) return false;
  if (!places_.at(seat).options.shares) return true;
  const FlowKey own = key_of(places_.at(seat));
  const Flow& flow = flows_.at(own);
  return std::ranges::all_of(flows_of(own.first), [&](const auto& entry) {
    const auto& [key, other] = entry;
    return key == own || !other.counts || flow.clock - flow.lead <= other.clock;
  });
}

bool Turns::has_resources(Seat seat) const {
  const Place& place = places_.at(seat);
  const SeatOptions& own = place.options;
  if (own.needs.empty()) return true;
  if (!pools_.are_free(own.device, own.needs)) return false;
  return std::ranges::none_of(places_, [&](const auto& entry) {
    const Place& other = entry.second;
    return entry.first != seat && waits(other) && goes_before(other, place) &&
           ResourcePools::compete(own.device, own.needs, other.options.device, other.options.needs);
  });
}

bool Turns::goes_before(const Place& place, const Place& other) const {
  const auto rank = [](const Place& of) { return std::tuple(of.executions * of.options.priority, of.asked); };
  return rank(place) < rank(other);
}

void Turns::wait(Place& place) {
  if (!waits(place)) {
    place.asked = ++questions_;
    ++waiting_;
  }
  place.state = State::kWaiting;
}

void Turns::leave(Place& place, State state) {
  if (waits(place)) --waiting_;
  place.state = state;
}

// A model counts that has requests waiting and could run them if it were not for others' turns: one that lacks
// resources holds nobody up.
void Turns::refresh(Flow& flow, double device_clock) const {
  const bool counts = std::ranges::any_of(flow.seats, [&](Seat seat) {
    const Place& place = places_.at(seat);
    if (!place.options.shares) return false;
    return waits(place) ? has_resources(seat) : flow.backlogged && place.state == State::kHere;
  });
  if (counts && !flow.counts) flow.clock = std::max(flow.clock, device_clock);
  flow.counts = counts;
}

void Turns::refresh_device(int device) {
  const double device_clock = clocks_[device];
  for (auto flow = flows_.lower_bound({device, 0}); flow != flows_.end() && flow->first.first == device; ++flow) {
    refresh(flow->second, device_clock);
  }
}

}  // namespace npuserve::batching
