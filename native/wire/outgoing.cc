#include "wire/outgoing.h"

#include <algorithm>
#include <utility>

namespace npuserve::wire {

void Outgoing::push(Buffer framed) {
  if (framed.empty()) return;
  const size_t size = framed.size();
  messages_.push_back(std::move(framed));
  bytes_ += size;
}

void Outgoing::take(size_t size, std::string& out) {
  bytes_ -= size;
  while (size > 0) {
    const std::span<const std::byte> rest = messages_[first_].bytes().subspan(offset_);
    const size_t part = std::min(size, rest.size());
    out.append(reinterpret_cast<const char*>(rest.data()), part);
    size -= part;
    offset_ += part;
    if (part < rest.size()) break;
    messages_[first_] = Buffer();
    offset_ = 0;
    ++first_;
  }
  // The sent ones are dropped when they are at least half, so that each is moved over at most once on average.
  if (first_ * 2 < messages_.size()) return;
  messages_.erase(messages_.begin(), messages_.begin() + static_cast<std::ptrdiff_t>(first_));
  first_ = 0;
}

void Outgoing::clear() {
  messages_.clear();
  first_ = 0;
  offset_ = 0;
  bytes_ = 0;
}

}  // namespace npuserve::wire
