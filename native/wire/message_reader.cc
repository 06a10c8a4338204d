#include "wire/message_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace npuserve::wire {

MessageReader::Stop MessageReader::read(std::span<const std::byte>& bytes) {
  if (stage_ == Stage::kPrefix) {
    read_prefix(bytes);
    if (prefix_size_ < kPrefixBytes) return Stop::kNoBytes;
    stage_ = Stage::kRoom;
    return Stop::kPrefix;
  }
  if (stage_ == Stage::kRoom) return Stop::kNoBytes;
  read_body(bytes);
  return body_.size() == length_ ? Stop::kMessage : Stop::kNoBytes;
}

void MessageReader::read_prefix(std::span<const std::byte>& bytes) {
  const size_t size = std::min(bytes.size(), kPrefixBytes - prefix_size_);
  if (size > 0) std::memcpy(prefix_.data() + prefix_size_, bytes.data(), size);
  prefix_size_ += size;
  bytes = bytes.subspan(size);
  if (prefix_size_ < kPrefixBytes) return;
  length_ = 0;
  for (size_t i = 1; i < kPrefixBytes; ++i) length_ = length_ << 8U | static_cast<size_t>(prefix_[i]);
}

void MessageReader::read_body(std::span<const std::byte>& bytes) {
  const size_t size = std::min(bytes.size(), missing_bytes());
  if (size > 0) std::memcpy(body_.data() + body_.size(), bytes.data(), size);
  body_.resize(body_.size() + size);
  bytes = bytes.subspan(size);
}

void MessageReader::give(Reservation room) {
  room_ = std::move(room);
  body_ = Buffer(length_);
  stage_ = Stage::kBody;
}

Message MessageReader::take() {
  Message message{std::move(body_), std::move(room_)};
  reset();
  return message;
}

void MessageReader::reset() {
  stage_ = Stage::kPrefix;
  prefix_size_ = 0;
  length_ = 0;
  body_ = Buffer();
  room_ = Reservation();
}

}  // namespace npuserve::wire
