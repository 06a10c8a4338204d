#include "load/arrivals.h"

#include <cmath>

namespace npuserve::load {
namespace {

constexpr double kSecondNs = 1e9;

// Keeps the processes' sequences apart.
constexpr uint64_t kSeedStep = 0x9e3779b97f4a7c15;

}  // namespace

Arrivals::Arrivals(const ArrivalOptions& options, int64_t start_ns)
    : options_(options),
      start_ns_(start_ns),
      gap_ns_(kSecondNs / options.per_second * options.parts),
      passed_ns_(0),
      random_(options.seed + (options.part + 1) * kSeedStep) {
  // Evenly spaced processes take turns. Poisson processes add up to one as they are.
  passed_ns_ = options.poisson ? exponential() : gap_ns_ / options.parts * options.part;
  due_ns_ = start_ns_ + static_cast<int64_t>(passed_ns_);
}

void Arrivals::advance() {
  ++count_;
  // A product, not a sum, so that no error adds up over the hours.
  if (options_.poisson) {
    passed_ns_ += exponential();
  } else {
    passed_ns_ = gap_ns_ * (static_cast<double>(count_) + static_cast<double>(options_.part) / options_.parts);
  }
  due_ns_ = start_ns_ + static_cast<int64_t>(passed_ns_);
}

double Arrivals::exponential() {
  const double uniform = std::generate_canonical<double, 53>(random_);
  return -std::log1p(-uniform) * gap_ns_;
}

}  // namespace npuserve::load
