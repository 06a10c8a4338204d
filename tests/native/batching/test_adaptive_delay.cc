#include "batching/adaptive_delay.h"

#include <doctest/doctest.h>

using npuserve::batching::AdaptiveDelay;

namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kTargetNs = 50 * kMs;

// A row every 0.1 ms, and an answer to it.
class Traffic {
 public:
  explicit Traffic(AdaptiveDelay& delay) : delay_(delay) {}

  // Of `count` answers, every `one_in`th is late; 0: none.
  void answer(int count, int one_in) {
    for (int i = 1; i <= count; ++i) {
      now_ns_ += kMs / 10;
      delay_.arrived(1, now_ns_);
      delay_.answered(one_in > 0 && i % one_in == 0 ? kTargetNs + 1 : kTargetNs, now_ns_);
    }
  }

 private:
  AdaptiveDelay& delay_;
  int64_t now_ns_ = 0;
};

}  // namespace

TEST_CASE("it begins with the delay that was configured, up to the target") {
  CHECK(AdaptiveDelay(kTargetNs, 3 * kMs, 1000).delay_ns() == 3 * kMs);
  CHECK(AdaptiveDelay(kTargetNs, 80 * kMs, 1000).delay_ns() == kTargetNs);
}

TEST_CASE("while the target is held the delay grows, and never beyond the target") {
  AdaptiveDelay delay(kTargetNs, 0, 1000);
  Traffic traffic(delay);
  traffic.answer(100, 0);
  const int64_t early_ns = delay.delay_ns();
  CHECK(early_ns > 0);
  traffic.answer(100, 0);
  CHECK(delay.delay_ns() > early_ns);
  traffic.answer(10'000, 0);
  CHECK(delay.delay_ns() == kTargetNs);
}

TEST_CASE("one late answer of two hundred is within what is stated, one of twenty is not") {
  AdaptiveDelay rarely(kTargetNs, 10 * kMs, 1000);
  Traffic(rarely).answer(20'000, 200);
  CHECK(rarely.delay_ns() == kTargetNs);
  AdaptiveDelay often(kTargetNs, 10 * kMs, 1000);
  Traffic(often).answer(20'000, 20);
  CHECK(often.delay_ns() < kMs);
}

TEST_CASE("it is halved once in the time of the target, as late answers come in crowds") {
  AdaptiveDelay delay(kTargetNs, 40 * kMs, 1'000'000);
  for (int i = 0; i < 100; ++i) delay.answered(2 * kTargetNs, kMs);
  CHECK(delay.allowance_ns() == 20 * kMs);
  delay.answered(2 * kTargetNs, kMs + kTargetNs - 1);
  CHECK(delay.allowance_ns() == 20 * kMs);
  delay.answered(2 * kTargetNs, kMs + kTargetNs);
  CHECK(delay.allowance_ns() == 10 * kMs);
}

TEST_CASE("no longer is waited than a whole batch takes to arrive") {
  AdaptiveDelay delay(kTargetNs, 40 * kMs, 9);
  for (int i = 0; i < 1000; ++i) delay.arrived(1, i * kMs);
  CHECK(delay.delay_ns() == doctest::Approx(8 * kMs).epsilon(0.01));
  CHECK(delay.allowance_ns() == 40 * kMs);
}

TEST_CASE("nothing is waited for when no second request is expected in time") {
  AdaptiveDelay delay(kTargetNs, 10 * kMs, 8);
  for (int i = 0; i < 100; ++i) delay.arrived(1, i * 20 * kMs);
  CHECK(delay.delay_ns() == 0);
  for (int i = 0; i < 1000; ++i) delay.arrived(1, 2000 * kMs + i * kMs);
  CHECK(delay.delay_ns() > 0);
}

TEST_CASE("what a request may be left waiting for the sake of others is never nothing") {
  AdaptiveDelay delay(kTargetNs, 0, 8);
  CHECK(delay.allowance_ns() == 1);
}

TEST_CASE("closed over a device whose latency is the delay and what is queued, the target is held") {
  // Each answer takes 30 ms beside the delay; every fiftieth 10 ms more. Only with at most 10 ms of delay are these
  // late one time of a hundred or less.
  AdaptiveDelay delay(kTargetNs, 0, 1'000'000);
  int64_t now_ns = 0;
  int late = 0;
  constexpr int kAnswers = 200'000;
  for (int i = 0; i < kAnswers; ++i) {
    now_ns += kMs;
    delay.arrived(1, now_ns);
    const int64_t latency_ns = 30 * kMs + (i % 50 == 0 ? 10 * kMs : 0) + delay.delay_ns();
    delay.answered(latency_ns, now_ns);
    late += latency_ns > kTargetNs && i >= kAnswers / 2 ? 1 : 0;
  }
  CHECK(late <= kAnswers / 2 / 100 * 1.1);
  CHECK(delay.delay_ns() > 5 * kMs);
}
