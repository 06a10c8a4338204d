// Requests over virtual time: when each arrives, how long it is. One seed gives one trace, whoever replays it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace npuserve::simulation {

struct Request {
  uint32_t number = 0;  // in order of arrival
  int32_t length = 0;   // tokens
  int64_t arrival_ns = 0;
};

// What real requests were like: their lengths and, of a recorded trace, the time from each to the next.
struct Sample {
  std::vector<int32_t> lengths;
  std::vector<int64_t> gaps_ns{};  // as many, or none

  // REQUIRES: gaps.
  double mean_gap_ns() const;
};

// Reads a file of lines `LENGTH` or `LENGTH MICROSECONDS`, the time since the line before; longer ones than max_length
// are cut to it. Throws std::runtime_error naming the line that is neither.
Sample read_sample(const std::string& path, int64_t max_length);

// Sentences for want of a file: log-normal, of 18 tokens on average.
Sample log_normal_sample(int64_t max_length);

enum class ArrivalKind {
  kPoisson,
  kBursts,    // Poisson at three times the mean rate, and silence, in turn
  kDiurnal,   // Poisson at a rate that swings by 80 % around the mean, four times over the trace
  kRecorded,  // the sample's own gaps and lengths, over and over, scaled to the mean rate
};

// Throws std::invalid_argument naming the kinds.
ArrivalKind parse_arrival_kind(const std::string& name);

struct TrafficOptions {
  ArrivalKind kind = ArrivalKind::kPoisson;
  double mean_gap_ns = 0;
  size_t requests = 0;
  uint64_t seed = 1;
};

class Traffic {
 public:
  // REQUIRES: a sample that is not empty, with gaps if they are what arrivals are made of. It must outlive this.
  Traffic(const TrafficOptions& options, const Sample& sample);

  bool ended() const { return next_.number == options_.requests; }

  // The one that comes next. REQUIRES: !ended().
  const Request& front() const { return next_; }
  void pop();

 private:
  void draw();
  double gap_ns();
  double burst_gap_ns();
  double diurnal_gap_ns();
  double exponential(double mean_ns);

  TrafficOptions options_;
  const Sample& sample_;
  std::mt19937_64 random_;
  double now_ns_ = 0;
  double burst_end_ns_ = 0;
  Request next_;
};

}  // namespace npuserve::simulation
