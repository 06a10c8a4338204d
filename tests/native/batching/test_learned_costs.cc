#include "batching/learned_costs.h"

#include <doctest/doctest.h>

using npuserve::batching::LearnedCosts;

TEST_CASE("until something ran, a nominal cost is nanoseconds or nothing") {
  CHECK(LearnedCosts(true).batch_ns(7) == 7);
  CHECK(LearnedCosts(true).queued_ns(7) == 7);
  CHECK(LearnedCosts(false).batch_ns(7) == 0);
  CHECK(LearnedCosts(false).queued_ns(7) == 0);
}

TEST_CASE("what batches took is what the next will take") {
  LearnedCosts costs(true);
  costs.learn({.device_ns = 30, .nominal = 10, .useful = 5});
  CHECK(costs.batch_ns(10) == doctest::Approx(30));
  CHECK(costs.queued_ns(10) == doctest::Approx(30));
}

TEST_CASE("how much of a batch is useful tells of those that queue only if there was a queue to choose from") {
  LearnedCosts costs(true);
  costs.learn({.device_ns = 10, .nominal = 10, .useful = 5, .had_backlog = true});
  costs.learn({.device_ns = 10, .nominal = 10, .useful = 1, .had_backlog = false});
  CHECK(costs.batch_ns(10) == doctest::Approx(10));
  CHECK(costs.queued_ns(10) == doctest::Approx(20));
}

TEST_CASE("what is long past is forgotten") {
  LearnedCosts costs(true);
  for (int i = 0; i < 100; ++i) costs.learn({.device_ns = 50, .nominal = 10});
  for (int i = 0; i < 200; ++i) costs.learn({.device_ns = 20, .nominal = 10});
  CHECK(costs.batch_ns(10) == doctest::Approx(20).epsilon(0.01));
}
