// Wire events in order, in memory that is used again.
#pragma once

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "wire/event.h"

namespace npuserve::wire {

class EventQueue {
 public:
  // Throws std::bad_alloc.
  void push(Event event) { events_.push_back(std::move(event)); }

  std::optional<Event> pop() {
    if (first_ == events_.size()) return std::nullopt;
    std::optional<Event> event(std::move(events_[first_++]));
    if (first_ == events_.size()) {
      events_.clear();
      first_ = 0;
    }
    return event;
  }

 private:
  std::vector<Event> events_;
  size_t first_ = 0;  // those before it are taken
};

}  // namespace npuserve::wire
