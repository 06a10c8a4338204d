// Whose turn it is on a device that models share, and whether the resources that an execution needs are free.
//
// Fairness is start-time fair queueing (Goyal, Vin, Cheng: SFQ, 1996) over what executions are predicted to cost. Each
// model has a virtual clock on each device: what its executions there have cost, over its weight. Among the models that
// have requests waiting, one whose clock leads all others' by less than its last execution may go; so
//
//   - models that always have requests get the device's time by their weights, however long their executions are: the
//     clocks of two differ by no more than two executions of the one that leads;
//   - an execution can be queued behind the one that runs, and the device does not wait for the host;
//   - a model that has nothing waiting holds nobody up and saves nothing: when it comes back its clock is set to the
//     device's, which is where that of the last execution began.
//
// Resources are Triton's rate limiter (resources.h). Of instances that wait for the same ones goes first whose number
// of executions times its priority is lowest.
//
// Seats are numbered; a model has one for each of its instances.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <ranges>
#include <utility>
#include <vector>

#include "batching/resources.h"

namespace npuserve::batching {

struct SeatOptions {
  uint64_t model = 0;    // any number that its models do not share
  int device = 0;        // that it shares with others of the same number
  bool shares = true;    // false: it may go whatever others had of the device, as if each had one of its own
  double weight = 1;     // of the model; above 0
  int64_t priority = 1;  // the higher, the fewer executions; 0 is 1
  std::vector<ResourceNeed> needs{};
};

// Not synchronized, and without a clock.
class Turns {
 public:
  using Seat = uint64_t;

  explicit Turns(std::vector<GivenPool> pools = {}) : pools_(std::move(pools)) {}

  // Throws std::invalid_argument if its resources can never be had.
  Seat add(SeatOptions options);

  // REQUIRES: it executes nothing.
  void remove(Seat seat);

  // Whether the seat may execute now; if so it does from here on, else it waits to be called.
  bool take(Seat seat);

  // What the execution that was last taken will cost. REQUIRES: once after each take().
  void charge(Seat seat, int64_t cost_ns);

  // An execution has ended.
  void give_back(Seat seat);

  // The seat has nothing to execute now, and does not wait. Whether that is news.
  bool withdraw(Seat seat);

  // Whether requests of the model wait, as long as its seats execute or have not withdrawn.
  void set_backlogged(uint64_t model, bool backlogged);

  // Whether a seat was refused and has neither executed nor withdrawn since.
  bool has_waiting() const { return waiting_ > 0; }

  // The seats that wait and may try again now; each is named once a wait.
  std::vector<Seat> called();

 private:
  enum class State {
    kAway,     // has nothing to execute
    kHere,     // executes, or has and will ask again
    kWaiting,  // asked and was refused
    kCalled,   // was told to ask again
  };

  struct Place {
    SeatOptions options;
    State state = State::kAway;
    int64_t executing = 0;
    int64_t executions = 0;
    uint64_t asked = 0;  // the older question goes first, if all else is equal
  };

  // A model on a device.
  struct Flow {
    std::vector<Seat> seats{};
    double clock = 0;
    double lead = 0;  // what its last execution added
    bool backlogged = false;
    bool counts = false;  // among those whose clocks are compared
  };

  using FlowKey = std::pair<int, uint64_t>;  // device, model
  using Flows = std::map<FlowKey, Flow>;     // a device's lie together

  static bool waits(const Place& place) { return place.state == State::kWaiting || place.state == State::kCalled; }
  static FlowKey key_of(const Place& place) { return {place.options.device, place.options.model}; }
  std::ranges::subrange<Flows::const_iterator> flows_of(int device) const;
  bool may_go(Seat seat) const;
  bool has_resources(Seat seat) const;
  bool goes_before(const Place& place, const Place& other) const;
  void wait(Place& place);
  void leave(Place& place, State state);
  void refresh(Flow& flow, double device_clock) const;
  void refresh_device(int device);

  ResourcePools pools_;
  std::map<Seat, Place> places_;
  Flows flows_;
  std::map<int, double> clocks_;  // of the devices
  Seat last_seat_ = 0;
  uint64_t questions_ = 0;
  size_t waiting_ = 0;  // seats
};

}  // namespace npuserve::batching
