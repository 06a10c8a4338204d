// When the requests of an open loop are due, whatever the server does: evenly spaced, or a Poisson process.
#pragma once

#include <cstdint>
#include <random>

namespace npuserve::load {

struct ArrivalOptions {
  double per_second = 0;  // of all processes together; REQUIRES: > 0
  bool poisson = false;
  uint32_t part = 0;   // this process's number among
  uint32_t parts = 1;  // so many, which share the rate
  uint64_t seed = 0;
};

class Arrivals {
 public:
  Arrivals(const ArrivalOptions& options, int64_t start_ns);

  int64_t due_ns() const { return due_ns_; }
  void advance();

 private:
  double exponential();

  ArrivalOptions options_;
  int64_t start_ns_;
  double gap_ns_;  // between requests of this process, on average
  double passed_ns_;
  uint64_t count_ = 0;
  std::mt19937_64 random_;
  int64_t due_ns_;
};

}  // namespace npuserve::load
