// A call's framed messages that wait to be sent, oldest first.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "wire/buffer.h"

namespace npuserve::wire {

class Outgoing {
 public:
  // Throws std::bad_alloc.
  void push(Buffer framed);

  size_t bytes() const { return bytes_; }
  bool empty() const { return bytes_ == 0; }

  // Moves the oldest `size` bytes to the end of `out`. REQUIRES: size <= bytes(). Throws std::bad_alloc, nothing moved.
  void take(size_t size, std::string& out);

  void clear();

 private:
  std::vector<Buffer> messages_;
  size_t first_ = 0;   // messages before it are sent
  size_t offset_ = 0;  // so much of the first is
  size_t bytes_ = 0;
};

}  // namespace npuserve::wire
