// The table of tokens beside a map that is slow and right.
#include <doctest/doctest.h>

#include <cstdint>
#include <map>
#include <random>
#include <vector>

#include "engine/token_table.h"

using npuserve::engine::TokenTable;

TEST_CASE("what was inserted is found until it is erased") {
  TokenTable table;
  CHECK_FALSE(table.find(7));
  table.reserve(3);
  table.insert(7, 0);
  table.insert(8, 1);
  CHECK(table.find(7) == 0U);
  CHECK(table.find(8) == 1U);
  table.erase(7, 0);
  CHECK_FALSE(table.find(7));
  CHECK(table.find(8) == 1U);
}

TEST_CASE("equal tokens are told apart by their places") {
  TokenTable table;
  table.reserve(2);
  table.insert(7, 0);
  table.insert(7, 1);
  table.erase(7, 0);
  CHECK(table.find(7) == 1U);
  table.erase(7, 1);
  CHECK_FALSE(table.find(7));
}

TEST_CASE("a table that comes and goes at random knows what a map knows") {
  std::mt19937 random(5);  // NOLINT(bugprone-random-generator-seed): the same each time
  TokenTable table;
  std::map<uint64_t, uint32_t> known;
  // Few tokens, so that they meet; some a connection's with a stream's, as front ends make them.
  std::vector<uint64_t> tokens;
  for (uint64_t i = 0; i < 300; ++i) tokens.push_back(i % 3 == 0 ? i : (i << 32) | (i % 7));
  size_t wrong = 0;
  for (uint32_t step = 0; step < 100'000; ++step) {
    const uint64_t token = tokens[random() % tokens.size()];
    const auto entry = known.find(token);
    if (entry == known.end()) {
      table.reserve(known.size() + 1);
      table.insert(token, step);
      known[token] = step;
    } else {
      if (table.find(token) != entry->second) ++wrong;
      table.erase(token, entry->second);
      known.erase(entry);
      if (table.find(token)) ++wrong;
    }
  }
  for (const auto& [token, place] : known) wrong += table.find(token) == place ? 0 : 1;
  CHECK(wrong == 0);
}
