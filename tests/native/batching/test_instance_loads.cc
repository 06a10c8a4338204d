#include "batching/instance_loads.h"

#include <doctest/doctest.h>

#include <vector>

using npuserve::batching::InstanceLoads;

namespace {

// A batch of which nothing but this is of interest.
npuserve::batching::Started lasting(double predicted_ns) { return {.predicted_ns = predicted_ns}; }

}  // namespace

TEST_CASE("a batch goes to the instance whose device has the least work left") {
  InstanceLoads loads({0, 1, 2}, 2);
  CHECK(loads.least_loaded(0) == 0);
  loads.start(0, lasting(100), 0);
  CHECK(loads.least_loaded(0) == 1);
  loads.start(1, lasting(50), 0);
  loads.start(2, lasting(80), 0);
  CHECK(loads.least_loaded(0) == 1);
  loads.start(1, lasting(60), 0);
  CHECK(loads.least_loaded(0) == 2);  // 1 has no slot left
  loads.start(2, lasting(5), 0);
  CHECK(loads.least_loaded(0) == 0);
  loads.start(0, lasting(5), 0);
  CHECK_FALSE(loads.least_loaded(0).has_value());
}

TEST_CASE("an idle instance goes before one that executes, though its device has more to do") {
  InstanceLoads loads({0, 0, 1}, 2);
  loads.start(0, lasting(100), 0);
  loads.start(2, lasting(10), 0);
  CHECK(loads.least_loaded(0) == 1);
}

TEST_CASE("of idle instances, the one on the device that has less to do") {
  InstanceLoads loads({0, 0, 1, 1}, 2);
  loads.start(0, lasting(100), 0);
  CHECK(loads.least_loaded(0) == 2);
  loads.start(2, lasting(50), 0);
  CHECK(loads.least_loaded(0) == 3);
}

TEST_CASE("of busy instances of one device, the one that has been given less") {
  InstanceLoads loads({0, 0}, 2);
  loads.start(0, lasting(100), 0);
  loads.start(1, lasting(50), 0);
  CHECK(loads.least_loaded(0) == 1);
}

TEST_CASE("a held instance is passed over until it is no longer") {
  InstanceLoads loads({0, 1}, 2);
  loads.set_held(0, true);
  CHECK(loads.least_loaded(0) == 1);
  loads.start(1, lasting(50), 0);
  CHECK(loads.least_loaded(0) == 1);
  loads.set_held(0, false);
  CHECK(loads.least_loaded(0) == 0);
}

TEST_CASE("what has been done is not left") {
  InstanceLoads loads({0, 1}, 2);
  loads.start(0, lasting(100), 0);
  loads.start(1, lasting(60), 50);
  CHECK(loads.least_loaded(50) == 0);  // 50 and 60
  CHECK(loads.free_after(0, 50) == doctest::Approx(50));
  CHECK(loads.free_after(0, 95) == doctest::Approx(5));
}

TEST_CASE("a batch that takes longer than predicted has nothing left, and takes nothing from the next") {
  InstanceLoads loads({0}, 2);
  loads.start(0, lasting(100), 0);
  loads.start(0, lasting(40), 0);
  CHECK(loads.free_after(0, 500) == doctest::Approx(40));
}

TEST_CASE("instances of a device share it") {
  InstanceLoads loads({0, 0}, 1);
  loads.start(0, lasting(100), 0);
  loads.start(1, lasting(100), 0);
  CHECK(loads.free_after(0, 50) == doctest::Approx(150));
  CHECK(loads.end(0, 200).device_ns == doctest::Approx(100));
  CHECK(loads.end(1, 220).device_ns == doctest::Approx(120));
}

TEST_CASE("a batch that waited behind another begins when that ends") {
  InstanceLoads loads({0}, 2);
  loads.start(0, lasting(100), 0);
  loads.start(0, lasting(100), 10);
  CHECK(loads.end(0, 90).device_ns == doctest::Approx(90));
  CHECK(loads.end(0, 150).device_ns == doctest::Approx(60));
  loads.release_slot(0);
  loads.release_slot(0);
  loads.start(0, lasting(100), 1000);
  CHECK(loads.end(0, 1030).device_ns == doctest::Approx(30));
}

TEST_CASE("the end of a batch frees the instance, its slot only when it is released") {
  InstanceLoads loads({0}, 1);
  loads.start(0, lasting(10), 0);
  CHECK(loads.is_executing(0));
  loads.end(0, 10);
  CHECK_FALSE(loads.is_executing(0));
  CHECK_FALSE(loads.has_free_slot(0));
  loads.release_slot(0);
  CHECK(loads.has_free_slot(0));
}

TEST_CASE("queued work goes to the devices that are free first") {
  InstanceLoads loads({0, 1, 2}, 1);
  loads.start(0, lasting(30), 0);
  loads.start(1, lasting(90), 0);
  CHECK(loads.free_after(0, 0) == doctest::Approx(0));    // the third
  CHECK(loads.free_after(20, 0) == doctest::Approx(20));  // it does all of it
  CHECK(loads.free_after(30, 0) == doctest::Approx(30));
  CHECK(loads.free_after(130, 0) == doctest::Approx(80));  // with the first: 80 + 50
  CHECK(loads.free_after(180, 0) == doctest::Approx(100));
}

TEST_CASE("a clock that steps back is a clock that stands still") {
  InstanceLoads loads({0}, 1);
  loads.start(0, lasting(100), 50);
  CHECK(loads.free_after(0, 10) == doctest::Approx(100));
  CHECK(loads.end(0, 40).device_ns == 0);
}
