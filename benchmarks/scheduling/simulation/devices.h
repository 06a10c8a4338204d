// The simulated devices. Each runs the batches that it is given one after another; one instance of the model is on
// each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "gears.h"
#include "traffic.h"

namespace npuserve::simulation {

struct Batch {
  std::vector<Request> requests;
  Gear gear;
  int64_t end_ns = 0;
};

// Not synchronized.
class Devices {
 public:
  explicit Devices(size_t count) : queues_(count), free_at_ns_(count, 0) {}

  size_t size() const { return queues_.size(); }
  bool idle(size_t device) const { return queues_[device].empty(); }

  // Runs the batch after those that the device has. REQUIRES: its rows fit the gear.
  void launch(size_t device, std::vector<Request> requests, const Gear& gear, int64_t now_ns);

  // The device whose batch ends next; none if all are idle.
  std::optional<size_t> next() const;

  int64_t next_end_ns(size_t device) const { return queues_[device].front().end_ns; }
  int64_t work_left_ns(size_t device, int64_t now_ns) const;

  // Takes the device's ended batch off it.
  Batch pop(size_t device);

  // Of all batches launched: what they ran, and for how long.
  int64_t batches() const { return batches_; }
  int64_t tokens() const { return tokens_; }
  int64_t useful_tokens() const { return useful_tokens_; }
  int64_t busy_ns() const { return busy_ns_; }

 private:
  std::vector<std::deque<Batch>> queues_;
  std::vector<int64_t> free_at_ns_;
  int64_t batches_ = 0;
  int64_t tokens_ = 0;
  int64_t useful_tokens_ = 0;
  int64_t busy_ns_ = 0;
};

}  // namespace npuserve::simulation
