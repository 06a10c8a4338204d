#include "batching/overtaking.h"

#include <doctest/doctest.h>

using npuserve::batching::Overtaking;

TEST_CASE("a request is due when as many batches passed over it as may") {
  Overtaking overtaking(3);
  const uint64_t oldest = 10;
  overtaking.took(11);
  overtaking.took(15);
  CHECK_FALSE(overtaking.is_due(oldest));
  overtaking.took(12);
  CHECK(overtaking.is_due(oldest));
}

TEST_CASE("batches whose oldest request was older than the one in question did not pass over it") {
  Overtaking overtaking(2);
  overtaking.took(11);
  overtaking.took(12);
  overtaking.took(20);
  CHECK(overtaking.is_due(10));
  CHECK(overtaking.is_due(11));        // 12 and 20
  CHECK_FALSE(overtaking.is_due(12));  // 20
  CHECK_FALSE(overtaking.is_due(21));
  overtaking.took(13);  // for a request that is older still
  CHECK(overtaking.is_due(12));
}

TEST_CASE("with a limit of none each request is due: strictly in order") { CHECK(Overtaking(0).is_due(5)); }
