// What the instances of a model have been given and not done yet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace npuserve::batching {

// A batch whose execution ended.
struct Ended {
  double predicted_ns = 0;  // what it was thought to cost
  double device_ns = 0;     // what it took of its device, which other instances may have shared
  double nominal = 0;       // as given to start()
  double useful = 0;
  bool had_backlog = false;
};

// What is known of a batch that starts.
struct Started {
  double predicted_ns = 0;   // what it should take of the device
  double nominal = 0;        // its cost by the table
  double useful = 0;         // the cost of its requests by the table, each in the gear that suits it best
  bool had_backlog = false;  // whether requests stayed in the queue
};

// Instances of one device share it: while k of them execute, each gets a k-th. Not synchronized.
class InstanceLoads {
 public:
  // devices: one entry an instance.
  InstanceLoads(const std::vector<int>& devices, size_t slots_per_instance);

  size_t size() const { return instances_.size(); }
  size_t devices() const { return devices_.size(); }
  bool has_free_slot(size_t instance) const { return instances_[instance].free_slots > 0; }
  void set_held(size_t instance, bool held) { instances_[instance].held = held; }
  bool is_executing(size_t instance) const { return !instances_[instance].batches.empty(); }
  size_t executing(size_t instance) const { return instances_[instance].batches.size(); }

  // Of the instances with a free slot that are not held the one to give a batch to: an idle one if there is one, then
  // the one whose device, then itself, has the least work left; then the first. None if there is no such.
  std::optional<size_t> least_loaded(int64_t now_ns) const;

  // REQUIRES: a free slot.
  void start(size_t instance, const Started& batch, int64_t now_ns);

  // Its oldest batch. REQUIRES: it executes one.
  Ended end(size_t instance, int64_t now_ns);

  void release_slot(size_t instance) { ++instances_[instance].free_slots; }

  // When, from now, the devices would have done what they were given and `queued_ns` of work besides, so that the first
  // of them would be free: the work is given to whoever is free first.
  double free_after(double queued_ns, int64_t now_ns) const;

 private:
  struct Device {
    int64_t executing = 0;    // instances
    int64_t advanced_ns = 0;  // until when share_ns is told
    double share_ns = 0;      // what an instance that had executed all the time would have got of it
  };

  struct Instance {
    size_t device = 0;
    size_t free_slots = 0;
    bool held = false;
    std::vector<Started> batches;  // in order; the first one executes
    double first_share_ns = 0;     // the device's share_ns when that began
    double predicted_ns = 0;       // of all
  };

  double share_ns(const Device& device, int64_t now_ns) const;
  void advance(Device& device, int64_t now_ns);
  double left_ns(const Instance& instance, int64_t now_ns) const;
  void tell_left(int64_t now_ns) const;

  std::vector<Device> devices_;
  std::vector<Instance> instances_;
  mutable std::vector<double> left_;  // of each device; room for a calculation
};

}  // namespace npuserve::batching
