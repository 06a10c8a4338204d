// The ordered queue of requests that wait for a slot.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "batching/policy.h"
#include "core/request.h"

namespace npuserve::batching {

// Not synchronized: its owner's mutex guards it.
class PendingQueue {
 public:
  void push(core::Request request, Waiting waiting);

  // Removes and returns the leading `count` requests. REQUIRES: count <= size().
  std::vector<core::Request> take(size_t count);

  // Removes the request with that token, wherever it stands.
  std::optional<core::Request> remove(uint64_t token);

  // What the policy sees; valid until the next change.
  std::span<const Waiting> waiting() const { return std::span(waiting_).subspan(head_); }

  size_t size() const { return waiting_.size() - head_; }
  bool empty() const { return size() == 0; }

 private:
  void drop_taken();

  // Side by side, so that the policy's view is one contiguous span. What lies before head_ has been taken; it is erased
  // once it is the larger part, so each request is moved at most once more: constant time a request.
  std::vector<core::Request> requests_;
  std::vector<Waiting> waiting_;
  size_t head_ = 0;
};

}  // namespace npuserve::batching
