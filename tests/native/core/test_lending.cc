// Memory that is lent, and waited for when it is taken back.
#include "core/lending.h"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <thread>
#include <utility>
#include <vector>

namespace core = npuserve::core;

namespace {

using Memory = std::array<std::byte, 256>;

std::span<const std::byte> part(const Memory& memory, size_t offset, size_t bytes) {
  return std::span<const std::byte>(memory).subspan(offset, bytes);
}

}  // namespace

TEST_CASE("what lies within a range is lent, and nothing else") {
  Memory memory{};
  core::LendingTable table;
  CHECK_FALSE(table.lend(part(memory, 64, 8)));
  table.add(part(memory, 64, 32));
  table.add(part(memory, 128, 32));
  CHECK(table.lend(part(memory, 64, 32)));
  CHECK(table.lend(part(memory, 95, 1)));
  CHECK(table.lend(part(memory, 128, 1)));
  CHECK_FALSE(table.lend(part(memory, 63, 2)));
  CHECK_FALSE(table.lend(part(memory, 64, 33)));
  CHECK_FALSE(table.lend(part(memory, 96, 1)));
  CHECK_FALSE(table.lend(part(memory, 95, 40)));
  CHECK_FALSE(table.lend(part(memory, 200, 8)));
  CHECK(table.lent() == 3);
  table.withdraw(memory.data() + 64);
  CHECK_FALSE(table.lend(part(memory, 64, 8)));
  CHECK(table.lend(part(memory, 128, 8)));
}

TEST_CASE("what is not in the table is withdrawn at once") {
  const Memory memory{};
  core::LendingTable table;
  table.withdraw(memory.data());
  CHECK(table.lent() == 0);
}

TEST_CASE("a loan that moves is given back once") {
  const Memory memory{};
  core::LendingTable table;
  table.add(part(memory, 0, 64));
  {
    core::Loan first = table.lend(part(memory, 0, 8));
    core::Loan second = table.lend(part(memory, 8, 8));
    second = std::move(first);
    std::vector<core::Loan> kept;
    kept.push_back(std::move(second));
    CHECK(kept.front());
  }
  table.withdraw(memory.data());  // would wait for ever for a loan that is out
  CHECK_FALSE(table.lend(part(memory, 0, 8)));
}

TEST_CASE("withdrawing waits for the loans that are out, and lends nothing more meanwhile") {
  Memory memory{};
  core::LendingTable table;
  table.add(part(memory, 0, 64));
  core::Loan loan = table.lend(part(memory, 0, 8));
  REQUIRE(loan);
  std::atomic<bool> withdrawn = false;
  std::thread owner([&] {
    table.withdraw(memory.data());
    withdrawn = true;
    memory.fill(std::byte{1});  // the owner's again: a reader would race
  });
  while (table.lend(part(memory, 0, 8))) std::this_thread::yield();
  CHECK_FALSE(withdrawn);
  CHECK(memory[0] == std::byte{0});
  loan = {};
  owner.join();
  CHECK(memory[0] == std::byte{1});
}

TEST_CASE("readers on many threads never meet an owner who took the memory back") {
  constexpr int kRounds = 200;
  Memory memory{};
  core::LendingTable table;
  std::atomic<bool> done = false;
  std::atomic<int> seen_torn = 0;
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      while (!done) {
        const core::Loan loan = table.lend(part(memory, 0, 256));
        if (loan && memory.front() != memory.back()) ++seen_torn;
      }
    });
  }
  for (int round = 0; round < kRounds; ++round) {
    table.add(memory);
    std::this_thread::yield();
    table.withdraw(memory.data());
    memory.fill(static_cast<std::byte>(round));
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  CHECK(seen_torn == 0);
}
