#include "wire/timers.h"

#include <algorithm>

namespace npuserve::wire {
namespace {

bool is_later(const Timers::Timer& one, const Timers::Timer& other) { return one.at_ns > other.at_ns; }

}  // namespace

void Timers::add(Timer timer) {
  heap_.push_back(timer);
  std::push_heap(heap_.begin(), heap_.end(), is_later);
}

std::optional<Timers::Timer> Timers::pop_due(int64_t now_ns) {
  if (heap_.empty() || heap_.front().at_ns > now_ns) return std::nullopt;
  std::pop_heap(heap_.begin(), heap_.end(), is_later);
  const Timer due = heap_.back();
  heap_.pop_back();
  return due;
}

void Timers::rebuild() { std::make_heap(heap_.begin(), heap_.end(), is_later); }

}  // namespace npuserve::wire
