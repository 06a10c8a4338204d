#include "core/mirror_ring.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <new>
#include <stdexcept>
#include <system_error>

namespace npuserve::core {
namespace {

constexpr size_t kHeaderBytes = 4096;
constexpr size_t kLeastBytes = 2 * kHeaderBytes;
constexpr uint64_t kAlign = 8;
constexpr uint64_t kBackToStart = ~uint64_t{0};  // in place of a record's bytes

struct RecordHead {
  uint64_t bytes;  // of the record with this head, a multiple of kAlign
  uint64_t request_bytes;
  uint64_t answer_bytes;
  int64_t live_ns;
  int32_t status;
  uint32_t compressed;
};

constexpr uint64_t aligned(uint64_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

void copy(std::byte* to, std::span<const std::byte> from) {
  if (!from.empty()) std::memcpy(to, from.data(), from.size());
}

}  // namespace

static_assert(sizeof(MirrorMapping::Header) <= kHeaderBytes);
static_assert(std::atomic<uint64_t>::is_always_lock_free, "a lock of one process means nothing to the other");

MirrorMapping::MirrorMapping(int file) {
  struct stat found{};
  if (::fstat(file, &found) != 0) throw std::system_error(errno, std::generic_category(), "fstat");
  const auto bytes = static_cast<size_t>(found.st_size);
  if (bytes < kLeastBytes) throw std::invalid_argument("a ring takes at least 8192 bytes");
  // Populated: the loop's thread is not to wait for pages.
  void* const start = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file, 0);
  if (start == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
  start_ = start;
  bytes_ = bytes;
  capacity_ = (bytes - kHeaderBytes) / kAlign * kAlign;
}

MirrorMapping::~MirrorMapping() { ::munmap(start_, bytes_); }

std::byte* MirrorMapping::ring() const { return static_cast<std::byte*>(start_) + kHeaderBytes; }

bool MirrorWriter::write(const MirrorRecord& record) noexcept {
  const uint64_t capacity = mapping_->capacity();
  const uint64_t bytes = aligned(sizeof(RecordHead) + record.request.size() + record.answer.size());
  // A record of half the ring finds its place in an empty one wherever that begins.
  if (bytes > capacity / 2) {
    add(MirrorCount::kTooLarge);
    return false;
  }
  MirrorMapping::Header& header = mapping_->header();
  uint64_t head = header.head.load(std::memory_order_relaxed);
  const uint64_t used = head - header.tail.load(std::memory_order_acquire);
  const uint64_t to_end = capacity - head % capacity;
  const uint64_t skipped = to_end < bytes ? to_end : 0;
  if (used > capacity || capacity - used < skipped + bytes) {
    add(MirrorCount::kFull);
    return false;
  }
  if (skipped > 0) {
    std::memcpy(mapping_->ring() + head % capacity, &kBackToStart, sizeof(kBackToStart));
    head += skipped;
  }
  const RecordHead record_head{.bytes = bytes,
                               .request_bytes = record.request.size(),
                               .answer_bytes = record.answer.size(),
                               .live_ns = record.live_ns,
                               .status = record.status,
                               .compressed = record.compressed ? 1U : 0U};
  std::byte* const to = mapping_->ring() + head % capacity;
  std::memcpy(to, &record_head, sizeof(record_head));
  copy(to + sizeof(record_head), record.request);
  copy(to + sizeof(record_head) + record.request.size(), record.answer);
  header.head.store(head + bytes, std::memory_order_release);
  add(MirrorCount::kWritten);
  return true;
}

// The only writer of the counts: none is lost between the load and the store.
void MirrorWriter::add(MirrorCount which, uint64_t amount) noexcept {
  std::atomic<uint64_t>& count = mapping_->header().counts[static_cast<size_t>(which)];
  count.store(count.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
}

void MirrorWriter::raise_to(MirrorCount which, uint64_t value) noexcept {
  std::atomic<uint64_t>& count = mapping_->header().counts[static_cast<size_t>(which)];
  if (count.load(std::memory_order_relaxed) < value) count.store(value, std::memory_order_relaxed);
}

std::optional<MirrorRecord> MirrorReader::front() {
  MirrorMapping::Header& header = mapping_->header();
  const uint64_t capacity = mapping_->capacity();
  const uint64_t head = header.head.load(std::memory_order_acquire);
  uint64_t tail = header.tail.load(std::memory_order_relaxed);
  if (tail == head) return std::nullopt;
  uint64_t first = 0;
  std::memcpy(&first, mapping_->ring() + tail % capacity, sizeof(first));
  if (first == kBackToStart) {
    tail += capacity - tail % capacity;
    header.tail.store(tail, std::memory_order_release);
  }
  const std::byte* const from = mapping_->ring() + tail % capacity;
  RecordHead record{};
  std::memcpy(&record, from, sizeof(record));
  front_bytes_ = record.bytes;
  return MirrorRecord{.request = {from + sizeof(record), record.request_bytes},
                      .answer = {from + sizeof(record) + record.request_bytes, record.answer_bytes},
                      .live_ns = record.live_ns,
                      .status = record.status,
                      .compressed = record.compressed != 0};
}

void MirrorReader::pop() {
  std::atomic<uint64_t>& tail = mapping_->header().tail;
  tail.store(tail.load(std::memory_order_relaxed) + front_bytes_, std::memory_order_release);
}

uint64_t MirrorReader::waiting_bytes() const {
  const MirrorMapping::Header& header = mapping_->header();
  return header.head.load(std::memory_order_acquire) - header.tail.load(std::memory_order_relaxed);
}

}  // namespace npuserve::core
