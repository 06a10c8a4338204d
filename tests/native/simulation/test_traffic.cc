// Traces have the rate and the shape that they were asked for.
#include "scheduling/simulation/traffic.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

using namespace npuserve::simulation;

namespace {

constexpr size_t kRequests = 200'000;

std::vector<Request> trace(ArrivalKind kind, const Sample& sample, double mean_gap_ns, uint64_t seed = 3) {
  std::vector<Request> requests;
  Traffic traffic({.kind = kind, .mean_gap_ns = mean_gap_ns, .requests = kRequests, .seed = seed}, sample);
  for (; !traffic.ended(); traffic.pop()) requests.push_back(traffic.front());
  return requests;
}

// The greatest number of requests in a window, over the mean.
double peak(const std::vector<Request>& requests, int64_t window_ns, double mean_gap_ns) {
  size_t first = 0;
  size_t most = 0;
  for (size_t last = 0; last < requests.size(); ++last) {
    while (requests[last].arrival_ns - requests[first].arrival_ns > window_ns) ++first;
    most = std::max(most, last - first + 1);
  }
  return static_cast<double>(most) * mean_gap_ns / static_cast<double>(window_ns);
}

}  // namespace

TEST_CASE("every kind of arrivals keeps the mean rate, in order, numbered") {
  const Sample sample{.lengths = {5, 6, 7}, .gaps_ns = {0, 1000, 5000}};
  for (const ArrivalKind kind :
       {ArrivalKind::kPoisson, ArrivalKind::kBursts, ArrivalKind::kDiurnal, ArrivalKind::kRecorded}) {
    const std::vector<Request> requests = trace(kind, sample, 100'000);
    REQUIRE(requests.size() == kRequests);
    for (size_t at = 1; at < requests.size(); ++at) {
      REQUIRE(requests[at].number == at);
      REQUIRE(requests[at].arrival_ns >= requests[at - 1].arrival_ns);
    }
    CHECK(static_cast<double>(requests.back().arrival_ns) / kRequests == doctest::Approx(100'000).epsilon(0.1));
  }
}

TEST_CASE("one seed gives one trace, another gives another") {
  const Sample sample = log_normal_sample(128);
  const auto first = trace(ArrivalKind::kBursts, sample, 1000, 1);
  const auto same = trace(ArrivalKind::kBursts, sample, 1000, 1);
  const auto other = trace(ArrivalKind::kBursts, sample, 1000, 2);
  CHECK(first.back().arrival_ns == same.back().arrival_ns);
  CHECK(first.back().arrival_ns != other.back().arrival_ns);
}

TEST_CASE("bursts come at three times the rate, days at nearly twice, Poisson at the rate") {
  const Sample sample = log_normal_sample(128);
  CHECK(peak(trace(ArrivalKind::kPoisson, sample, 10'000), 10'000'000, 10'000) < 1.2);
  CHECK(peak(trace(ArrivalKind::kBursts, sample, 10'000), 10'000'000, 10'000) == doctest::Approx(3).epsilon(0.1));
  CHECK(peak(trace(ArrivalKind::kDiurnal, sample, 10'000), 50'000'000, 10'000) == doctest::Approx(1.8).epsilon(0.1));
}

TEST_CASE("lengths without a file are those of sentences") {
  double sum = 0;
  const Sample sample = log_normal_sample(128);
  for (const int32_t length : sample.lengths) {
    REQUIRE(length > 0);
    REQUIRE(length <= 128);
    sum += length;
  }
  CHECK(sum / static_cast<double>(sample.lengths.size()) == doctest::Approx(18).epsilon(0.05));
}

TEST_CASE("a recorded file is read, cut to the longest, and refused where it is none") {
  const std::string path = std::filesystem::temp_directory_path() / "npuserve_test_lengths.txt";
  const auto write = [&](const std::string& text) { std::ofstream(path) << text; };
  write("5 10\n200 30\n");
  const Sample sample = read_sample(path, 128);
  CHECK(sample.lengths == std::vector<int32_t>{5, 128});
  CHECK(sample.gaps_ns == std::vector<int64_t>{10'000, 30'000});
  for (const char* text : {"", "5\nfive\n", "5\n6 10\n", "5 10\n6\n", "0\n", "-3\n", "5 -1\n"}) {
    write(text);
    CHECK_THROWS_AS(read_sample(path, 128), std::runtime_error);
  }
  std::remove(path.c_str());
  CHECK_THROWS_AS(read_sample(path, 128), std::runtime_error);
}
