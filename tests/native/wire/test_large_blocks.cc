#include <doctest/doctest.h>

#include <cstdlib>
#include <cstring>

#include "wire/buffer.h"
#include "wire/large_blocks.h"

namespace wire = npuserve::wire;

namespace {

constexpr size_t kMiB = size_t{1} << 20;

}  // namespace

TEST_CASE("a size is rounded up by a quarter at most, so that like messages have like blocks") {
  CHECK(wire::LargeBlocks::block_bytes(16 * kMiB) == 16 * kMiB);
  CHECK(wire::LargeBlocks::block_bytes(16 * kMiB + 1) == 20 * kMiB);
  CHECK(wire::LargeBlocks::block_bytes(16 * kMiB + 300) == 20 * kMiB);
  CHECK(wire::LargeBlocks::block_bytes(31 * kMiB) == 32 * kMiB);
  CHECK(wire::LargeBlocks::block_bytes(1) == 1);
}

TEST_CASE("a block that was given back is taken again") {
  wire::LargeBlocks blocks(8 * kMiB);
  std::byte* const first = blocks.take(2 * kMiB);
  std::memset(first, 1, 2 * kMiB);
  blocks.give_back(first, 2 * kMiB);
  CHECK(blocks.kept_bytes() == 2 * kMiB);
  std::byte* const other = blocks.take(3 * kMiB);  // of another size
  CHECK(blocks.kept_bytes() == 2 * kMiB);
  CHECK(blocks.take(2 * kMiB) == first);
  CHECK(blocks.kept_bytes() == 0);
  std::free(first);
  std::free(other);
}

TEST_CASE("no more is kept than was said, and the oldest goes first") {
  wire::LargeBlocks blocks(4 * kMiB);
  std::byte* const oldest = blocks.take(2 * kMiB);
  std::byte* const older = blocks.take(1 * kMiB);
  std::byte* const latest = blocks.take(3 * kMiB);
  blocks.give_back(oldest, 2 * kMiB);
  blocks.give_back(older, 1 * kMiB);
  blocks.give_back(latest, 3 * kMiB);
  CHECK(blocks.kept_bytes() == 4 * kMiB);
  CHECK(blocks.take(1 * kMiB) == older);
  CHECK(blocks.take(3 * kMiB) == latest);
  std::free(older);
  std::free(latest);
}

TEST_CASE("a large buffer's memory goes on to the next of its size; a small one is malloc's") {
  const std::byte* address = nullptr;
  {
    const wire::Buffer buffer(5 * kMiB);
    address = buffer.data();
  }
  const wire::Buffer next(5 * kMiB - 100);
  CHECK(next.data() == address);
  CHECK(next.capacity() == 5 * kMiB - 100);
  const size_t kept = wire::LargeBlocks::of_process().kept_bytes();
  {
    const wire::Buffer small(1000);
  }
  CHECK(wire::LargeBlocks::of_process().kept_bytes() == kept);
}
