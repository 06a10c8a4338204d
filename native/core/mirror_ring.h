// Mirrored requests on their way from the server's loop to the process that replays them: a ring in memory that both
// have mapped. The loop never waits: what finds no room is counted and dropped.
//
// One writer and one reader, each on one thread; they meet in `head` and `tail` alone, which count bytes since the
// beginning. A record lies in one piece; where the end of the ring is too near for it, a mark sends the reader back to
// the start.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

namespace npuserve::core {

// One request and what it was answered. answer: the message, or, if the status is not OK, its text.
struct MirrorRecord {
  std::span<const std::byte> request;
  std::span<const std::byte> answer;
  int64_t live_ns = 0;  // from the whole request to its answer
  int32_t status = 0;
  bool compressed = false;  // the answer is, with gzip or deflate
};

// What the writer counts, for both sides.
enum class MirrorCount : size_t {
  kSeen,          // requests among which the share was chosen
  kWritten,       // records
  kFull,          // dropped: the reader is behind
  kTooLarge,      // dropped: more bytes than are mirrored
  kSequence,      // left out, as the four below: a replay out of order means nothing
  kDecoupled,     // any number of answers
  kSharedMemory,  // the inputs or outputs are in memory that only this machine sees
  kStream,        // calls of ModelStreamInfer
  kUnanswered,    // overload, deadline, giving up: says nothing of the model
  kWriteNs,       // time that the writer's thread spent on records
  kMostWriteNs,   // on one of them
};
inline constexpr std::array<std::string_view, 11> kMirrorCountNames{
    "seen",          "written", "full",       "too_large", "sequence",     "decoupled",
    "shared_memory", "stream",  "unanswered", "write_ns",  "most_write_ns"};

// The mapping, shared with whoever else maps the file; unmapped at the end.
class MirrorMapping {
 public:
  // file: as large as the ring is to be, zeroed before its first mapping; it need not stay open. Throws
  // std::system_error, std::invalid_argument if it is too small.
  explicit MirrorMapping(int file);
  ~MirrorMapping();
  MirrorMapping(const MirrorMapping&) = delete;
  MirrorMapping& operator=(const MirrorMapping&) = delete;

  struct Header {
    alignas(64) std::atomic<uint64_t> head{0};  // the writer's
    alignas(64) std::atomic<uint64_t> tail{0};  // the reader's
    alignas(64) std::array<std::atomic<uint64_t>, kMirrorCountNames.size()> counts{};
  };

  Header& header() const { return *static_cast<Header*>(start_); }
  std::byte* ring() const;
  uint64_t capacity() const { return capacity_; }
  uint64_t count(MirrorCount which) const {
    return header().counts[static_cast<size_t>(which)].load(std::memory_order_relaxed);
  }

 private:
  void* start_ = nullptr;
  size_t bytes_ = 0;
  uint64_t capacity_ = 0;
};

class MirrorWriter {
 public:
  // As MirrorMapping's.
  explicit MirrorWriter(int file) : MirrorWriter(std::make_shared<MirrorMapping>(file)) {}
  explicit MirrorWriter(std::shared_ptr<const MirrorMapping> mapping) : mapping_(std::move(mapping)) {}

  // Copies the record, or counts it as dropped. Never blocks.
  bool write(const MirrorRecord& record) noexcept;

  void add(MirrorCount which, uint64_t amount = 1) noexcept;
  void raise_to(MirrorCount which, uint64_t value) noexcept;
  uint64_t count(MirrorCount which) const { return mapping_->count(which); }

 private:
  std::shared_ptr<const MirrorMapping> mapping_;  // shared by the two ends where they are in one process
};

class MirrorReader {
 public:
  // As MirrorMapping's.
  explicit MirrorReader(int file) : MirrorReader(std::make_shared<MirrorMapping>(file)) {}
  explicit MirrorReader(std::shared_ptr<const MirrorMapping> mapping) : mapping_(std::move(mapping)) {}

  // The oldest record, which stays where it is until `pop`.
  std::optional<MirrorRecord> front();
  // REQUIRES: front() found one since the last pop.
  void pop();

  // Bytes that were written and not read.
  uint64_t waiting_bytes() const;
  uint64_t count(MirrorCount which) const { return mapping_->count(which); }

 private:
  std::shared_ptr<const MirrorMapping> mapping_;  // shared by the two ends where they are in one process
  uint64_t front_bytes_ = 0;
};

}  // namespace npuserve::core
