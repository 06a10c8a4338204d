#include "outcome.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <stdexcept>

namespace npuserve::simulation {

double percentile_ms(std::vector<int64_t>& latencies_ns, double share) {
  const double rank = std::ceil(share * static_cast<double>(latencies_ns.size()));
  const auto at = latencies_ns.begin() + std::max<std::ptrdiff_t>(0, static_cast<std::ptrdiff_t>(rank) - 1);
  std::ranges::nth_element(latencies_ns, at);
  return static_cast<double>(*at) / 1e6;
}

std::string to_json(const Outcome& outcome) {
  std::array<char, 512> text{};
  const int written = std::snprintf(
      text.data(), text.size(),
      R"({"requests": %zu, "answered": %zu, "refused": %zu, "lost": %zu, "throughput": %.3f, "p50_ms": %.4f, )"
      R"("p99_ms": %.4f, "max_ms": %.4f, "padding_waste": %.5f, "utilization": %.5f, "mean_rows": %.3f})",
      outcome.requests, outcome.answered, outcome.refused, outcome.lost, outcome.throughput, outcome.p50_ms,
      outcome.p99_ms, outcome.max_ms, outcome.padding_waste, outcome.utilization, outcome.mean_rows);
  if (written < 0 || static_cast<size_t>(written) >= text.size()) throw std::length_error("an outcome that long");
  return text.data();
}

}  // namespace npuserve::simulation
