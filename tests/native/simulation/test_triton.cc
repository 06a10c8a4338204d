// The baseline does what was observed of the real Triton.
#include "scheduling/simulation/triton.h"

#include <doctest/doctest.h>

#include <vector>

using namespace npuserve::simulation;

namespace {

constexpr int64_t kMs = 1'000'000;

// Of one length, but for `lengths`; a batch takes 200 ms.
struct Arrivals {
  int requests = 0;
  std::vector<int64_t> preferred{};
  int64_t delay_ms = 0;
  std::vector<int32_t> lengths{4};
};

// The sizes of the batches in the order of their end, on one device that runs up to 8 rows.
std::vector<size_t> batches(const Arrivals& arrivals) {
  const GearSet gears({{8, 8, 200 * kMs}});
  Devices devices(1);
  Triton triton(
      {.max_batch_size = 8, .preferred_batch_sizes = arrivals.preferred, .max_queue_delay_ns = arrivals.delay_ms * kMs},
      gears, false, devices);
  for (int number = 0; number < arrivals.requests; ++number) {
    const auto at = static_cast<size_t>(number);
    triton.arrive({static_cast<uint32_t>(number), arrivals.lengths[at % arrivals.lengths.size()], 0}, 0);
  }
  std::vector<size_t> sizes;
  for (;;) {
    const auto device = devices.next();
    const auto wake_ns = triton.wake_at_ns();
    if (!device && !wake_ns) return sizes;
    if (wake_ns && (!device || *wake_ns < devices.next_end_ns(*device))) {
      triton.wake(*wake_ns);
      continue;
    }
    const int64_t now_ns = devices.next_end_ns(*device);
    const Batch batch = devices.pop(*device);
    sizes.push_back(batch.requests.size());
    triton.ended(*device, batch, now_ns);
  }
}

using Sizes = std::vector<size_t>;

}  // namespace

TEST_CASE("without a delay the first request goes alone and the rest fills up while it runs") {
  CHECK(batches({.requests = 20}) == Sizes{1, 8, 8, 3});
}

TEST_CASE("with a delay a batch goes when it is full or late") {
  CHECK(batches({.requests = 1, .delay_ms = 100}) == Sizes{1});
  CHECK(batches({.requests = 3, .delay_ms = 100}) == Sizes{3});
  CHECK(batches({.requests = 8, .delay_ms = 100}) == Sizes{8});
  CHECK(batches({.requests = 9, .delay_ms = 100}) == Sizes{8, 1});
  CHECK(batches({.requests = 20, .delay_ms = 100}) == Sizes{8, 8, 4});
}

TEST_CASE("with a delay a preferred size goes at once") {
  CHECK(batches({.requests = 1, .preferred = {2, 6}, .delay_ms = 100}) == Sizes{1});
  CHECK(batches({.requests = 2, .preferred = {2, 6}, .delay_ms = 100}) == Sizes{2});
  CHECK(batches({.requests = 3, .preferred = {2, 6}, .delay_ms = 100}) == Sizes{2, 1});
}

TEST_CASE("requests of different lengths share no batch") {
  CHECK(batches({.requests = 9, .lengths = {4, 5}}) == Sizes(9, 1));
}

TEST_CASE("a request of another length closes the batch that lies ready") {
  CHECK(batches({.requests = 7, .lengths = {4, 4, 4, 5, 5, 5, 5}}) == Sizes{1, 2, 4});
}
