#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "core/mirror_ring.h"

namespace npuserve::core {
namespace {

// A file of memory alone, as large as a ring.
class RingFile {
 public:
  explicit RingFile(size_t bytes) : file_(::memfd_create("ring", MFD_CLOEXEC)) {
    REQUIRE(file_ >= 0);
    REQUIRE(::ftruncate(file_, static_cast<off_t>(bytes)) == 0);
  }
  ~RingFile() { ::close(file_); }
  RingFile(const RingFile&) = delete;
  RingFile& operator=(const RingFile&) = delete;

  operator int() const { return file_; }

 private:
  int file_;
};

constexpr size_t kHeaderBytes = 4096;

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

TEST_CASE("a record comes out as it went in, once") {
  const RingFile file(kHeaderBytes + 4096);
  MirrorWriter writer(file);
  MirrorReader reader(file);
  CHECK_FALSE(reader.front());
  REQUIRE(writer.write({bytes_of("request"), bytes_of("the answer"), 1234, 0, true}));
  REQUIRE(writer.write({bytes_of("second"), {}, 5, 3, false}));

  auto record = reader.front();
  REQUIRE(record);
  CHECK(text_of(record->request) == "request");
  CHECK(text_of(record->answer) == "the answer");
  CHECK(record->live_ns == 1234);
  CHECK(record->status == 0);
  CHECK(record->compressed);
  reader.pop();
  record = reader.front();
  REQUIRE(record);
  CHECK(text_of(record->request) == "second");
  CHECK(record->answer.empty());
  CHECK(record->status == 3);
  CHECK_FALSE(record->compressed);
  reader.pop();
  CHECK_FALSE(reader.front());
  CHECK(reader.waiting_bytes() == 0);
  CHECK(reader.count(MirrorCount::kWritten) == 2);
}

TEST_CASE("what finds no room is dropped and counted; room comes back when records are taken") {
  const RingFile file(kHeaderBytes + 4096);
  MirrorWriter writer(file);
  MirrorReader reader(file);
  const std::string large(1000, 'x');
  size_t written = 0;
  while (writer.write({bytes_of(large), {}, 0, 0, false})) ++written;
  CHECK(written == 3);
  CHECK(reader.count(MirrorCount::kFull) == 1);
  REQUIRE(reader.front());
  reader.pop();
  CHECK(writer.write({bytes_of(large), {}, 0, 0, false}));
  CHECK(reader.count(MirrorCount::kWritten) == 4);
}

TEST_CASE("what is larger than half the ring never fits, what is not always does") {
  const RingFile file(kHeaderBytes + 4096);
  MirrorWriter writer(file);
  MirrorReader reader(file);
  CHECK_FALSE(writer.write({bytes_of(std::string(2048, 'x')), {}, 0, 0, false}));
  CHECK(reader.count(MirrorCount::kTooLarge) == 1);
  const std::string half(2000, 'x');
  for (int i = 0; i < 50; ++i) {
    // Short ones in between move where the next begins.
    REQUIRE(writer.write({bytes_of(std::string(static_cast<size_t>(i), 's')), {}, 0, 0, false}));
    REQUIRE(reader.front());
    reader.pop();
    REQUIRE(writer.write({bytes_of(half), {}, 0, 0, false}));
    REQUIRE(reader.front());
    CHECK(text_of(reader.front()->request) == half);
    reader.pop();
  }
}

TEST_CASE("a file too small for a ring is refused") {
  const RingFile file(kHeaderBytes);
  CHECK_THROWS_AS(MirrorWriter{file}, std::invalid_argument);
  CHECK_THROWS_AS(MirrorWriter{-1}, std::system_error);
}

TEST_CASE("a writer and a reader in two threads lose and tear nothing but what is counted") {
  constexpr uint64_t kRecords = 50'000;
  const RingFile file(kHeaderBytes + 64 * 1024);
  // One mapping for both, or ThreadSanitizer sees two memories that have nothing to do with each other.
  const auto mapping = std::make_shared<MirrorMapping>(file);
  MirrorWriter writer(mapping);
  std::thread writing([&writer] {
    std::mt19937 random{7};
    for (uint64_t i = 0; i < kRecords; ++i) {
      const std::string request = std::to_string(i) + std::string(random() % 300, static_cast<char>('a' + i % 26));
      const std::string answer(random() % 100, static_cast<char>('A' + i % 26));
      writer.write({bytes_of(request), bytes_of(answer), static_cast<int64_t>(i), 0, false});
    }
  });
  MirrorReader reader(mapping);
  uint64_t read = 0;
  int64_t last = -1;
  bool whole = true;
  const auto take = [&] {
    while (const auto record = reader.front()) {
      const auto i = static_cast<uint64_t>(record->live_ns);
      const std::string request = text_of(record->request);
      const std::string digits = std::to_string(i);
      whole &= record->live_ns > last && request.starts_with(digits);
      whole &= request.find_first_not_of(static_cast<char>('a' + i % 26), digits.size()) == std::string::npos;
      whole &= text_of(record->answer).find_first_not_of(static_cast<char>('A' + i % 26)) == std::string::npos;
      last = record->live_ns;
      ++read;
      reader.pop();
    }
  };
  while (reader.count(MirrorCount::kWritten) + reader.count(MirrorCount::kFull) < kRecords) take();
  writing.join();
  take();
  CHECK(whole);
  CHECK(read == reader.count(MirrorCount::kWritten));
  CHECK(read > 0);
}

}  // namespace npuserve::core
