#include "traffic.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <numbers>
#include <numeric>
#include <sstream>
#include <stdexcept>

namespace npuserve::simulation {
namespace {

// A third of the time at three times the rate.
constexpr double kBurstNs = 20e6;
constexpr double kSilenceNs = 40e6;
constexpr double kBurstRate = (kBurstNs + kSilenceNs) / kBurstNs;

constexpr double kSwing = 0.8;
constexpr double kDays = 4;

constexpr double kMeanLength = 18;
constexpr double kLengthSigma = 0.6;
constexpr size_t kDrawnLengths = 100'000;

}  // namespace

double Sample::mean_gap_ns() const {
  return std::accumulate(gaps_ns.begin(), gaps_ns.end(), 0.0) / static_cast<double>(gaps_ns.size());
}

Sample read_sample(const std::string& path, int64_t max_length) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read '" + path + "'");
  Sample sample;
  for (std::string line; std::getline(file, line);) {
    std::istringstream in(line);
    int64_t length = 0;
    int64_t gap_us = 0;
    in >> length;
    const bool has_length = !in.fail() && length > 0;
    const bool has_gap = has_length && !(in >> std::ws).eof();
    in >> gap_us;
    const bool is_read = !has_gap || (!in.fail() && gap_us >= 0);
    const bool complete = sample.lengths.empty() || has_gap == !sample.gaps_ns.empty();
    if (!has_length || !is_read || !complete) {
      throw std::runtime_error("line " + std::to_string(sample.lengths.size() + 1) + " of '" + path +
                               "' is not LENGTH, or LENGTH MICROSECONDS on every line: '" + line + "'");
    }
    sample.lengths.push_back(static_cast<int32_t>(std::min(length, max_length)));
    if (has_gap) sample.gaps_ns.push_back(gap_us * 1000);
  }
  if (sample.lengths.empty()) throw std::runtime_error("'" + path + "' is empty");
  return sample;
}

Sample log_normal_sample(int64_t max_length) {
  std::mt19937_64 random(1);
  std::lognormal_distribution<double> lengths(std::log(kMeanLength) - kLengthSigma * kLengthSigma / 2, kLengthSigma);
  Sample sample;
  for (size_t drawn = 0; drawn < kDrawnLengths; ++drawn) {
    sample.lengths.push_back(static_cast<int32_t>(std::clamp<int64_t>(std::llround(lengths(random)), 3, max_length)));
  }
  return sample;
}

ArrivalKind parse_arrival_kind(const std::string& name) {
  if (name == "poisson") return ArrivalKind::kPoisson;
  if (name == "bursts") return ArrivalKind::kBursts;
  if (name == "diurnal") return ArrivalKind::kDiurnal;
  if (name == "recorded") return ArrivalKind::kRecorded;
  throw std::invalid_argument("arrivals '" + name + "' are none of poisson, bursts, diurnal, recorded");
}

Traffic::Traffic(const TrafficOptions& options, const Sample& sample)
    : options_(options), sample_(sample), random_(options.seed) {
  draw();
}

void Traffic::pop() {
  ++next_.number;
  if (!ended()) draw();
}

void Traffic::draw() {
  now_ns_ += gap_ns();
  next_.arrival_ns = std::llround(now_ns_);
  const size_t known = sample_.lengths.size();
  const size_t which = options_.kind == ArrivalKind::kRecorded ? next_.number % known : random_() % known;
  next_.length = sample_.lengths[which];
}

double Traffic::gap_ns() {
  switch (options_.kind) {
    case ArrivalKind::kPoisson:
      return exponential(options_.mean_gap_ns);
    case ArrivalKind::kBursts:
      return burst_gap_ns();
    case ArrivalKind::kDiurnal:
      return diurnal_gap_ns();
    case ArrivalKind::kRecorded:
      break;
  }
  const auto gap = static_cast<double>(sample_.gaps_ns[next_.number % sample_.gaps_ns.size()]);
  return gap * options_.mean_gap_ns / sample_.mean_gap_ns();
}

// What is left of the gap when a burst ends goes on in the next one.
double Traffic::burst_gap_ns() {
  double at_ns = now_ns_;
  double left_ns = exponential(options_.mean_gap_ns / kBurstRate);
  while (at_ns + left_ns > burst_end_ns_) {
    left_ns -= std::max(0.0, burst_end_ns_ - at_ns);
    at_ns = burst_end_ns_ + exponential(kSilenceNs);
    burst_end_ns_ = at_ns + exponential(kBurstNs);
  }
  return at_ns + left_ns - now_ns_;
}

// Drawn at the greatest rate, and thinned.
double Traffic::diurnal_gap_ns() {
  const double day_ns = options_.mean_gap_ns * static_cast<double>(options_.requests) / kDays;
  double at_ns = now_ns_;
  for (;;) {
    at_ns += exponential(options_.mean_gap_ns / (1 + kSwing));
    const double rate = 1 + kSwing * std::sin(2 * std::numbers::pi * at_ns / day_ns);
    if (std::uniform_real_distribution<double>(0, 1 + kSwing)(random_) < rate) return at_ns - now_ns_;
  }
}

double Traffic::exponential(double mean_ns) { return std::exponential_distribution<double>(1 / mean_ns)(random_); }

}  // namespace npuserve::simulation
