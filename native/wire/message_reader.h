// Reads one call's length-prefixed messages out of DATA as it comes, into buffers of the stated lengths.
//
// It stops where somebody else must decide: at a prefix, whose length wants a part of the budget, and behind a message.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "wire/buffer.h"
#include "wire/event.h"
#include "wire/framing.h"
#include "wire/memory_budget.h"

namespace npuserve::wire {

class MessageReader {
 public:
  enum class Stop {
    kNoBytes,  // all was read, or room is still awaited
    kPrefix,   // a message begins: give() the room for length() bytes, then go on
    kMessage,  // one is whole: take() it, then go on
  };

  // Reads from the front of `bytes` and removes what it read.
  Stop read(std::span<const std::byte>& bytes);

  bool awaits_room() const { return stage_ == Stage::kRoom; }
  bool is_in_body() const { return stage_ == Stage::kBody; }
  bool is_amid_message() const { return stage_ != Stage::kPrefix || prefix_size_ > 0; }

  // Of the message that has begun. REQUIRES: behind kPrefix.
  size_t length() const { return length_; }
  uint8_t flags() const { return static_cast<uint8_t>(prefix_[0]); }
  size_t missing_bytes() const { return length_ - body_.size(); }

  // REQUIRES: awaits_room(). Throws std::bad_alloc.
  void give(Reservation room);

  // The message as it came. REQUIRES: behind kMessage.
  Message take();

  // Forgets what has begun and gives its room back.
  void reset();

 private:
  enum class Stage { kPrefix, kRoom, kBody };

  void read_prefix(std::span<const std::byte>& bytes);
  void read_body(std::span<const std::byte>& bytes);

  Stage stage_ = Stage::kPrefix;
  std::array<std::byte, kPrefixBytes> prefix_{};
  size_t prefix_size_ = 0;
  size_t length_ = 0;
  Buffer body_;
  Reservation room_;
};

}  // namespace npuserve::wire
